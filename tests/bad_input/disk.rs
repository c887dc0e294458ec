//! A disk that is full or read-only.

use std::fs;
use std::os::unix::fs::PermissionsExt;

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
fn a_disk_that_is_full_while_wal_is_received_loses_no_wal() {
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
        .global("compression = none")
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
    cluster.execute(
        "CREATE TABLE t AS SELECT g AS n, repeat(md5(g::text), 30) AS x FROM \
        generate_series(1, 10000) g",
    );
    daemon.wait_log("No space left", 30);
    daemon.cli(&["ping"]).ok();
    let mut reference = Reference::new(&cluster, &archive);
    reference.check(&daemon.wal("primary"), cluster.restart_lsn());
    disk.give_back();
    cluster.wait_streaming("pgmoneta");
    cluster.wait_received("pgmoneta");
    daemon.stop();
    reference.check(&daemon.wal("primary"), cluster.restart_lsn());
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
