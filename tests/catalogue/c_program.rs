//! Backups like those of the C program, as far as their catalogue goes.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Daemon, make, write_owned};

/// The directory of the backups of the C program.
pub fn directory(daemon: &Daemon) -> PathBuf {
    daemon.base_dir().join("primary/backup")
}

/// Writes a backup with `backup.info`, `backup.sha512` and one more file. Incremental if `parent`
/// is not empty.
pub fn write_backup(daemon: &Daemon, label: &str, parent: &str) -> PathBuf {
    let path = directory(daemon).join(label);
    if !directory(daemon).exists() {
        make(&directory(daemon));
    }
    make(&path);
    let info = format!(
        "PGMONETA_VERSION=0.22.0\nSTATUS=1\nLABEL={label}\nWAL=00000001000000000000000A\n\
         BACKUP=15593472\nRESTORE=15585280\nBIGGEST_FILE=3579904\nELAPSED=1.7004\n\
         MAJOR_VERSION=17\nMINOR_VERSION=10\nKEEP=0\nTABLESPACES=0\nCOMPRESSION=18\nENCRYPTION=0\n\
         START_WALPOS=0/A000028\nEND_WALPOS=0/A000158\nCHKPT_WALPOS=0/A000080\nSTART_TIMELINE=1\n\
         END_TIMELINE=1\nTYPE={}\nPARENT={parent}\nCOMMENTS=\nEXTRA=\n",
        u8::from(!parent.is_empty())
    );
    write_owned(&path.join("backup.info"), &info);
    write_owned(&path.join("backup.manifest"), "PG_VERSION,00\n");
    let other = "0".repeat(128);
    let sums = format!(
        "{other} *./data/PG_VERSION.zstd\n{} *./backup.info\n{other} *./backup.manifest\n\
         {other} *./data/backup_manifest\n{other} *./data/backup_label\n",
        sha512(&info)
    );
    write_owned(&path.join("backup.sha512"), sums);
    path
}

/// The value of a key in the `backup.info` of a backup; its digest in `backup.sha512` must be
/// right.
pub fn value(path: &std::path::Path, key: &str) -> String {
    let info = fs::read_to_string(path.join("backup.info")).unwrap();
    let sums = fs::read_to_string(path.join("backup.sha512")).unwrap();
    let line = format!("{} *./backup.info", sha512(&info));
    assert!(sums.lines().any(|found| found == line), "{info}{sums}");
    assert_eq!(sums.lines().count(), 5, "{sums}");
    let mut lines = info.lines();
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap().to_owned()
}

fn sha512(text: &str) -> String {
    let digest = openssl::sha::sha512(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
