//! Verify finds unexpected files, and missing lists and WAL, not only damaged files.

use std::fs;

use crate::harness::{Cluster, Daemon, Scratch, write_owned};

#[test]
fn unexpected_files_changed_lists_and_missing_wal_are_found() {
    let scratch = Scratch::new("verify");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .global("compression = zstd\nencryption = aes-256-gcm")
        .server("primary", &cluster)
        .start_streaming();
    let label = daemon.backup("primary");
    let backup = daemon.backups("primary").join(&label);
    let verify = || daemon.cli(&["verify", "primary", &label]);
    verify().ok();

    let strange = backup.join("data/base/strange");
    write_owned(&strange, "x");
    verify().fails(1, "data/base/strange");
    fs::remove_file(&strange).unwrap();

    let sums = fs::read_to_string(backup.join("backup.sha256")).unwrap();
    let (first, rest) = sums.split_once('\n').unwrap();
    let name = first.split_once("  ").unwrap().1;
    write_owned(&backup.join("backup.sha256"), rest);
    verify().fails(1, name);
    write_owned(&backup.join("backup.sha256"), &sums);

    let wal = fs::read_dir(backup.join("wal")).unwrap().next().unwrap();
    let wal = wal.unwrap().path();
    let segment = wal.file_name().unwrap().to_str().unwrap()[..24].to_owned();
    let kept = fs::read(&wal).unwrap();
    fs::remove_file(&wal).unwrap();
    verify()
        .fails(1, &format!("pg_wal/{segment}"))
        .fails(1, "WAL is needed from");
    write_owned(&wal, &kept[..kept.len() - 1]);
    verify().fails(1, &segment);
    write_owned(&wal, &kept);
    verify().ok();
}
