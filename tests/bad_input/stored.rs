//! Corrupt and missing files in the repository.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Cluster, Daemon, Scratch, write_owned};

/// A daemon with one backup of a cluster that has a table of 20,000 rows.
struct Setup {
    daemon: Daemon,
    _cluster: Cluster,
    _scratch: Scratch,
    backup: PathBuf,
    /// The stored file of the table, in the backup.
    file: PathBuf,
}

impl Setup {
    fn new(storage: &str) -> Self {
        let scratch = Scratch::new("stored");
        let cluster = Cluster::builder(&scratch).start();
        cluster.execute(
            "CREATE TABLE t AS SELECT g AS n, md5(g::text) AS x FROM generate_series(1, 20000) g",
        );
        let relation = cluster.relation_path("t");
        let daemon = Daemon::builder(&scratch)
            .global(storage)
            .server("primary", &cluster)
            .start_streaming();
        let label = daemon.backup("primary");
        daemon.cli(&["verify", "primary", &label]).ok();
        let backup = daemon.backups("primary").join(label);
        let relation = backup.join("data").join(relation);
        let name = relation.file_name().unwrap().to_str().unwrap().to_owned();
        let file = fs::read_dir(relation.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                path.file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .split('.')
                    .next()
                    == Some(&name)
            })
            .unwrap_or_else(|| panic!("{} is not stored", relation.display()));
        Self {
            daemon,
            _cluster: cluster,
            _scratch: scratch,
            backup,
            file,
        }
    }

    /// Asserts that verify and restore fail and name the file, and that the restored files cannot
    /// be started.
    fn assert_detected(&self, path: &Path) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = name.split('.').next().unwrap();
        self.daemon
            .cli(&["verify", "primary", "newest"])
            .fails(1, name);
        self.daemon
            .restore_output("primary", "newest", None, "restored")
            .fails(1, name);
        let restored = self.daemon.directory().join("restored");
        let startable = fs::read_dir(restored)
            .unwrap()
            .any(|entry| entry.unwrap().path().join("global/pg_control").exists());
        assert!(!startable, "a cluster with corrupt files can be started");
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    write_owned(path, bytes);
}

#[test]
fn a_corrupt_byte_of_an_uncompressed_file_is_detected() {
    let setup = Setup::new("compression = none");
    flip(&setup.file, 100_000);
    setup.assert_detected(&setup.file);
}

#[test]
fn a_corrupt_byte_of_a_compressed_file_is_detected() {
    let setup = Setup::new("compression = zstd");
    flip(&setup.file, 10_000);
    setup.assert_detected(&setup.file);
}

#[test]
fn a_corrupt_byte_of_an_encrypted_file_is_detected() {
    let setup = Setup::new("compression = none\nencryption = aes-256-gcm");
    flip(&setup.file, 100_000);
    setup.assert_detected(&setup.file);
}

#[test]
fn a_missing_file_is_detected() {
    let setup = Setup::new("compression = zstd");
    fs::remove_file(&setup.file).unwrap();
    setup.assert_detected(&setup.file);
}

#[test]
fn a_truncated_file_is_detected() {
    let setup = Setup::new("compression = zstd");
    let bytes = fs::read(&setup.file).unwrap();
    write_owned(&setup.file, &bytes[..bytes.len() - 7]);
    setup.assert_detected(&setup.file);
}

#[test]
fn an_empty_file_is_detected() {
    let setup = Setup::new("compression = zstd");
    write_owned(&setup.file, "");
    setup.assert_detected(&setup.file);
}

#[test]
fn a_missing_wal_segment_is_detected() {
    let setup = Setup::new("compression = zstd");
    let segment = fs::read_dir(setup.backup.join("wal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| !path.to_str().unwrap().contains(".history"))
        .expect("a segment in the backup");
    let name = segment.file_name().unwrap().to_str().unwrap().to_owned();
    fs::remove_file(&segment).unwrap();
    let _ = fs::remove_file(setup.daemon.wal("primary").join(name));
    setup.assert_detected(&segment);
}

#[test]
fn a_corrupt_manifest_is_detected() {
    let setup = Setup::new("compression = none");
    let manifest = setup.backup.join("backup.manifest");
    let length = fs::read(&manifest).unwrap().len();
    flip(&manifest, length / 2);
    setup.assert_detected(&manifest);
}

/// Adds zeros at the end of a file, which take no space.
fn extend(path: &Path, size: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(size).unwrap();
}

#[test]
fn lists_of_files_with_zeros_without_end_are_an_error_at_once() {
    let setup = Setup::new("compression = none");
    let sums = setup.backup.join("backup.sha256");
    let length = fs::metadata(&sums).unwrap().len();
    extend(&sums, 2 << 30);
    let verify = || setup.daemon.cli(&["verify", "primary", "newest"]);
    verify().fails(1, "a line is longer than 65536 bytes");
    extend(&sums, length);
    verify().ok();
    let manifest = setup.backup.join("backup.manifest");
    extend(&manifest, 4 << 40);
    verify().fails(1, "the file is damaged: zstd frame");
    let restore = setup.daemon.restore_output("primary", "newest", None, "x");
    restore.fails(1, "the file is damaged: zstd frame");
}
