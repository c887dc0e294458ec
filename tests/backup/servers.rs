//! Every major version, tablespaces, standbys, and several servers at once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pgmoneta::format::BackupManifest;

use super::by_hand::{ManifestLines, check_sums, restore, verify};
use crate::harness::{
    Cluster, Daemon, MAJORS, Process, Scratch, StoppedWalSender, installed, wait_until,
};

/// A cluster with two tablespaces, and what only few clusters have: an empty database directory in
/// one of them.
fn with_tablespaces(scratch: &Scratch, major: u32) -> Cluster {
    let cluster = Cluster::builder(scratch)
        .name(&format!("pg{major}"))
        .major(major)
        .template_databases()
        .start();
    for name in ["one", "two"] {
        let location = scratch.directory(&format!("{name}{major}"));
        cluster.execute(&format!(
            "CREATE TABLESPACE {name} LOCATION '{}'",
            location.display()
        ));
    }
    cluster.execute(
        "CREATE TABLE t TABLESPACE one AS SELECT g AS n, repeat('x', g % 100) AS x FROM \
         generate_series(1, 30000) g",
    );
    cluster.execute("CREATE DATABASE d TABLESPACE two");
    cluster
}

/// Whether a restored directory has every file that the server's manifest lists, and no other but
/// WAL.
fn check_listed(target: &Path) {
    let manifest = fs::read(target.join("backup_manifest")).unwrap();
    let manifest = BackupManifest::parse(&manifest).unwrap();
    for entry in &manifest.files {
        let bytes = fs::read(target.join(&entry.path)).unwrap();
        assert_eq!(bytes.len() as u64, entry.size, "{}", entry.path.display());
        assert_eq!(
            entry.matches(crc32c::crc32c(&bytes)),
            Some(true),
            "{}",
            entry.path.display()
        );
    }
}

#[test]
fn tablespaces_are_backed_up_on_every_version() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("versions");
        let cluster = with_tablespaces(&scratch, major);
        let daemon = Daemon::builder(&scratch)
            .server("primary", &cluster)
            .start_streaming();
        let label = daemon.backup("primary");
        let backup = daemon.backups("primary").join(&label);
        check_sums(&backup);
        let lines = ManifestLines::of(&backup);
        let locations: Vec<_> = lines
            .all("tablespace")
            .iter()
            .map(|line| line["location"].clone())
            .collect();
        assert_eq!(locations.len(), 2, "PostgreSQL {major}: {locations:?}");
        let oid: u32 = cluster.query_value("SELECT oid FROM pg_tablespace WHERE spcname = 'one'");
        let relation = cluster.relation_path("t");
        let below = relation.strip_prefix(&format!("pg_tblspc/{oid}/")).unwrap();
        assert!(backup.join(format!("tblspc/{oid}/{below}.zstd")).is_file());
        let target = scratch.join("restored");
        restore(&backup, &target, None);
        check_listed(&target);
        verify(&target, major);
    }
}

#[test]
fn a_standby_is_backed_up_while_its_primary_is_idle() {
    let scratch = Scratch::new("standby");
    let primary = Cluster::builder(&scratch).start();
    primary.execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 1000) g");
    let standby = primary.standby(&scratch, "standby");
    let daemon = Daemon::builder(&scratch)
        .server("standby", &standby)
        .start_streaming();
    primary.execute("CHECKPOINT");
    let label = daemon.backup("standby");
    let backup = daemon.backups("standby").join(&label);
    check_sums(&backup);
    // No segment switch completes the last segment: the needed part of it is copied into the
    // backup.
    let lines = ManifestLines::of(&backup);
    let last = lines.all("wal").pop().unwrap()["stored"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        fs::metadata(backup.join(&last)).unwrap().nlink(),
        1,
        "{last}"
    );
    let target = scratch.join("restored");
    restore(&backup, &target, None);
    let text = fs::read_to_string(target.join("backup_label")).unwrap();
    assert!(text.contains("BACKUP FROM: standby"));
    verify(&target, standby.major());
    daemon.cli(&["verify", "standby", &label]).ok();
}

#[test]
fn a_backup_that_begins_before_the_archive_is_refused_before_the_transfer() {
    let scratch = Scratch::new("before");
    let primary = Cluster::builder(&scratch).start();
    primary.execute("CHECKPOINT");
    let standby = primary.standby(&scratch, "standby");
    let replayed = || {
        let written = primary.flush_lsn();
        let sql = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        standby.wait_true(&sql, 60);
    };
    for number in 0..3 {
        primary.execute(&format!("CREATE TABLE t{number} (n int)"));
        primary.execute("SELECT pg_switch_wal()");
    }
    replayed();
    // A slot that retains no WAL: it is received from now on.
    standby.execute("SELECT pg_create_physical_replication_slot('pgmoneta')");
    let daemon = Daemon::builder(&scratch)
        .server("standby", &standby)
        .start_streaming();
    primary.execute("CREATE TABLE later (n int)");
    replayed();
    // Until the first flush, earlier segments could still arrive.
    let sql = "SELECT restart_lsn > '0/0' FROM pg_replication_slots WHERE slot_name = 'pgmoneta'";
    standby.wait_true(sql, 60);
    let refused = daemon.cli(&["backup", "standby"]).fails(1, "CHECKPOINT");
    assert!(refused.stderr.contains("would begin at"), "{refused}");
    primary.execute("CHECKPOINT");
    replayed();
    daemon.backup("standby");
}

#[test]
fn two_servers_are_backed_up_at_the_same_time() {
    let scratch = Scratch::new("two");
    let one = Cluster::builder(&scratch)
        .name("one")
        .own_identity()
        .start();
    let other = Cluster::builder(&scratch)
        .name("other")
        .own_identity()
        .start();
    let section = "wal_receiver_timeout = 600s";
    let daemon = Daemon::builder(&scratch)
        .server_with("one", &one, section)
        .server_with("other", &other, section)
        .start();
    for cluster in [&one, &other] {
        cluster.wait_streaming("pgmoneta");
    }
    let held = [&one, &other].map(|cluster| StoppedWalSender::stop(cluster, "pgmoneta"));
    let start = |server: &str| {
        let child = daemon.cli_command(&["backup", server]).spawn().unwrap();
        Process::new(child, "backup")
    };
    let mut jobs = [start("one"), start("other")];
    let running = |server: &str| !daemon.unfinished(server).is_empty();
    wait_until("both are running", 60, || {
        running("one") && running("other")
    });
    drop(held);
    for job in &mut jobs {
        assert!(job.wait(120).success());
    }
    for server in ["one", "other"] {
        let label = daemon.labels(server).pop().unwrap();
        check_sums(&daemon.backups(server).join(label));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn wal_is_copied_from_an_archive_on_another_file_system() {
    let scratch = Scratch::new("mounted");
    let cluster = Cluster::builder(&scratch).start();
    let mut daemon = Daemon::builder(&scratch)
        .global("compression = lz4\nencryption = aes-256-gcm")
        .server("primary", &cluster)
        .create();
    scratch.directory("moneta/repo/primary");
    scratch.directory("moneta/repo/primary/wal");
    let Some(_disk) = crate::harness::SmallDisk::mount(&daemon.wal("primary"), 128) else {
        return;
    };
    daemon.start();
    cluster.wait_streaming("pgmoneta");
    let label = daemon.backup("primary");
    let backup = daemon.backups("primary").join(&label);
    check_sums(&backup);
    let lines = ManifestLines::of(&backup);
    for file in lines.all("wal") {
        let stored = backup.join(file["stored"].as_str().unwrap());
        assert_eq!(fs::metadata(stored).unwrap().nlink(), 1);
    }
    daemon.cli(&["verify", "primary", &label]).ok();
}
