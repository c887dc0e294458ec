//! A disk that is full or read-only.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::{Cluster, Daemon, Faults, Reference, Scratch, SmallDisk, wait_until};

#[test]
fn a_read_only_base_dir_prevents_the_start() {
    let scratch = Scratch::new("readonly");
    let cluster = Cluster::builder(&scratch).create();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    fs::set_permissions(daemon.base_dir(), fs::Permissions::from_mode(0o500)).unwrap();
    let status = daemon.try_start();
    assert_eq!(status, Some(1), "{}", daemon.log());
    assert!(daemon.log().contains("moneta/repo"), "{}", daemon.log());
}

#[test]
fn wal_is_received_to_the_last_byte_of_a_disk_and_goes_on_when_there_is_room() {
    let scratch = Scratch::new("fullwal");
    let archive = scratch.directory("archive");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(&format!(
            "archive_mode = on\narchive_command = 'cp %p {0}/%f.new && mv {0}/%f.new {0}/%f'",
            archive.display()
        ))
        .start();
    let daemon = Daemon::builder(&scratch)
        .global("compression = zstd")
        .server("primary", &cluster)
        .create();
    let Some(disk) = SmallDisk::mount(&daemon.base_dir(), 64) else {
        return;
    };
    let mut daemon = daemon;
    daemon.create_repository();
    daemon.start();
    cluster.wait_streaming("pgmoneta");
    disk.leave(3);
    // Sealed segments have half of the size.
    cluster.execute(
        "CREATE TABLE t AS SELECT g AS n, string_agg(md5(g::text || h), '') AS x \
         FROM generate_series(1, 15000) g, generate_series(1, 30) h GROUP BY g",
    );
    daemon.wait_log("no WAL is received: write", 30);
    wait_until("all that has room is acknowledged", 60, || {
        written_end(&daemon.wal("primary")) - u64::from(cluster.restart_lsn()) < 16 << 10
    });
    assert!(disk.free() < 4096, "{}", disk.free());
    // It has tried again: that is how the end was acknowledged.
    let log = daemon.log();
    let reports = |text: &str| {
        let lines = log.lines().filter(|line| !line.contains(" DEBUG "));
        lines.filter(|line| line.contains(text)).count()
    };
    let begins = "the disk has no room for a whole WAL segment of 1.00MB";
    assert_eq!([reports(begins), reports("no WAL is received")], [1, 1]);
    assert_eq!(reports("streaming WAL again"), 0);
    wait_until("status reports both", 30, || {
        let status = daemon.cli(&["status"]).stderr;
        status.contains("no room for a whole WAL segment") && status.contains("no WAL is received")
    });
    let mut reference = Reference::new(&cluster, &archive);
    reference.check(&daemon.wal("primary"), cluster.restart_lsn());

    daemon.kill();
    let before = daemon.log().len();
    daemon.start();
    wait_until("the disk is full again", 60, || {
        daemon.log()[before..].contains("no WAL is received: write")
    });
    reference.check(&daemon.wal("primary"), cluster.restart_lsn());
    disk.give_back();
    cluster.wait_streaming("pgmoneta");
    cluster.wait_received("pgmoneta");
    daemon.wait_log("the disk has room for whole WAL segments again", 30);
    daemon.cli(&["status"]).ok();
    daemon.stop();
    reference.check(&daemon.wal("primary"), cluster.restart_lsn());
}

/// The end of what is written in the partial segment of 1 MiB.
fn written_end(wal: &Path) -> u64 {
    let mut paths = fs::read_dir(wal)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let path = paths.find(|path| path.extension().is_some_and(|suffix| suffix == "partial"));
    let path = path.unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let number = |digits: &str| u64::from_str_radix(digits, 16).unwrap();
    (number(&name[8..16]) << 32) + (number(&name[16..24]) << 20) + path.metadata().unwrap().len()
}

#[test]
fn a_restore_to_a_small_disk_is_refused_before_it_writes() {
    let scratch = Scratch::new("fullrest");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    let target = scratch.directory("target");
    let Some(_disk) = SmallDisk::mount(&target, 8) else {
        return;
    };
    let mut daemon = daemon;
    daemon.start();
    cluster.wait_streaming("pgmoneta");
    daemon.backup("primary");
    daemon
        .cli(&["restore", "primary", "newest", target.to_str().unwrap()])
        .fails(1, "space");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}

#[test]
fn a_restore_fails_if_a_write_fails() {
    let scratch = Scratch::new("failrest");
    let cluster = Cluster::builder(&scratch).start();
    let target = scratch.directory("target");
    let faults = Faults::new(&scratch, &target);
    let daemon = faults
        .daemon(Daemon::builder(&scratch).server("primary", &cluster))
        .start_streaming();
    daemon.backup("primary");
    faults.on("full");
    daemon
        .cli(&["restore", "primary", "newest", target.to_str().unwrap()])
        .fails(1, "space");
    assert!(faults.happened("full"));
    faults.off("full");
    let startable = fs::read_dir(&target)
        .unwrap()
        .any(|entry| entry.unwrap().path().join("global/pg_control").exists());
    assert!(!startable, "a partially restored cluster can be started");
}

#[test]
fn a_backup_fails_if_a_write_fails() {
    let scratch = Scratch::new("failback");
    let cluster = Cluster::builder(&scratch).start();
    let repository = scratch.join("moneta/repo/primary/basebackup");
    let faults = Faults::new(&scratch, &repository);
    let daemon = faults
        .daemon(Daemon::builder(&scratch).server("primary", &cluster))
        .start_streaming();
    faults.on("full");
    daemon.cli(&["backup", "primary"]).fails(1, "space");
    assert!(faults.happened("full"));
    faults.off("full");
    assert!(daemon.labels("primary").is_empty());
    wait_until("the failed backup is removed", 10, || {
        daemon.unfinished("primary").is_empty()
    });
    daemon.backup("primary");
}
