//! A missing repository: its directories are not recreated, and no WAL is acknowledged without
//! them.

use std::fs;
use std::path::Path;

use postgres::types::PgLsn;

use crate::harness::{Cluster, Daemon, Output, Scratch, user, wait_until, write_owned};

/// Writes a few segments of 1 MiB.
fn write(cluster: &Cluster) {
    cluster.execute("CREATE TABLE IF NOT EXISTS filler (t text)");
    for _ in 0..3 {
        cluster.execute(
            "INSERT INTO filler SELECT repeat(md5(g::text), 30) FROM generate_series(1, 1000) g",
        );
        cluster.execute("SELECT pg_switch_wal()");
    }
}

/// A cluster with segments of 1 MiB, and a daemon that has received a few of them.
fn with_wal(name: &str) -> (Scratch, Cluster, Daemon) {
    let scratch = Scratch::new(name);
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start_streaming();
    write(&cluster);
    cluster.wait_received("pgmoneta");
    (scratch, cluster, daemon)
}

/// Waits until `status` reports a problem with `text`.
fn wait_problem(daemon: &Daemon, text: &str) {
    wait_until(&format!("status says {text:?}"), 120, || {
        let status = daemon.cli(&["status"]);
        status.status == 1 && format!("{}{}", status.stdout, status.stderr).contains(text)
    });
}

fn entries(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn make_directory(path: &Path) {
    fs::create_dir(path).unwrap();
    user().chown(path);
}

#[test]
fn a_daemon_without_its_repository_does_not_start() {
    let scratch = Scratch::new("unfound");
    let cluster = Cluster::builder(&scratch).create();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    let (base, away) = (daemon.base_dir(), scratch.join("away"));
    let configuration = daemon.configuration();
    let create = |more: &[&str]| {
        let mut words = vec![
            "repository",
            "create",
            "-c",
            configuration.to_str().unwrap(),
        ];
        words.extend(more);
        daemon.admin(&words)
    };
    let refused = |text: &str| {
        let output = Output::of(&mut daemon.command()).fails(1, text);
        assert!(
            output.stderr.contains("pgmoneta-admin repository create"),
            "{output}"
        );
        assert!(output.stderr.contains("mounted"), "{output}");
    };
    fs::rename(&base, &away).unwrap();
    refused("is not there");
    assert!(!base.exists(), "it was recreated");
    make_directory(&base);
    refused("repository.info");
    assert_eq!(entries(&base), Vec::<String>::new());

    // It is created only in an empty directory, and only once.
    write_owned(&base.join("something"), "else");
    create(&[]).fails(1, "not empty");
    assert_eq!(entries(&base), ["something"]);
    fs::remove_file(base.join("something")).unwrap();
    let done = create(&["-F", "json"]).ok().json();
    assert_eq!(done["Outcome"]["Status"], true);
    create(&[]).fails(1, "repository already");
    let missing = scratch.join("missing/repository");
    daemon
        .admin(&["repository", "create", missing.to_str().unwrap()])
        .fails(1, "missing");
    fs::remove_dir_all(&base).unwrap();
    fs::rename(&away, &base).unwrap();

    // A repository of the C program has no repository.info, but backups or WAL.
    fs::remove_file(base.join("repository.info")).unwrap();
    refused("repository.info");
    for path in ["primary", "primary/wal", "primary/backup"] {
        make_directory(&base.join(path));
    }
    refused("repository.info");
    write_owned(
        &base.join("primary/wal/000000010000000000000001.partial"),
        "x",
    );
    daemon.start();
    assert!(base.join("repository.info").is_file());
    assert!(base.join("primary/basebackup").is_dir());
}

#[test]
fn a_repository_that_disappears_is_reported_until_it_is_back() {
    let (scratch, cluster, daemon) = with_wal("unmounted");
    daemon.backup("primary");
    for lost in ["", "primary", "primary/wal", "primary/basebackup"] {
        let (here, away) = (daemon.base_dir().join(lost), scratch.join("away"));
        fs::rename(&here, &away).unwrap();
        make_directory(&here);
        let before = cluster.restart_lsn();
        write(&cluster);
        wait_problem(&daemon, "is not the one that was there at the start");
        write(&cluster);
        daemon.cli(&["backup", "primary"]).fails(1, "");
        assert_eq!(entries(&here), Vec::<String>::new(), "{lost}");
        // WAL of the segment that was open may have been acknowledged, but none after it.
        let after = cluster.restart_lsn();
        let acknowledged = u64::from(after).saturating_sub(before.into());
        assert!(acknowledged <= 1 << 20, "{lost}: from {before} to {after}");
        fs::remove_dir(&here).unwrap();
        fs::rename(&away, &here).unwrap();
        cluster.wait_streaming("pgmoneta");
        cluster.wait_received("pgmoneta");
    }
    daemon.backup("primary");
    daemon.cli(&["verify", "primary", "oldest"]).ok();
    // A segment whose sealing failed meanwhile is sealed at the next attempt.
    wait_until("status reports no problem", 60, || {
        daemon.cli(&["status"]).status == 0
    });
}

#[test]
fn a_lost_archive_is_started_again_only_by_wal_begin() {
    let (_scratch, cluster, mut daemon) = with_wal("lostwal");
    daemon.backup("primary");
    daemon
        .cli(&["wal", "begin", "primary"])
        .fails(1, "wal begin is not needed");
    daemon.cli(&["wal", "begin", "other"]).fails(1, "no server");
    let wal = daemon.wal("primary");
    let permission = daemon.base_dir().join("primary/wal.begin");
    assert!(!permission.exists());

    // Several times: each wal begin starts one archive.
    for lost in ["its files", "its directory", "all of the server"] {
        daemon.stop();
        let left = cluster.restart_lsn();
        match lost {
            "its files" => {
                for name in entries(&wal) {
                    fs::remove_file(wal.join(name)).unwrap();
                }
            }
            "its directory" => fs::remove_dir_all(&wal).unwrap(),
            _ => fs::remove_dir_all(daemon.base_dir().join("primary")).unwrap(),
        }
        daemon.start();
        write(&cluster);
        wait_problem(&daemon, "pgmoneta-cli wal begin primary");
        assert_eq!(cluster.restart_lsn(), left, "{lost}");
        assert_eq!(wal.exists(), lost == "its files", "{lost}");
        assert!(!wal.exists() || entries(&wal).is_empty());

        let begun = daemon.cli(&["wal", "begin", "primary", "-F", "json"]).ok();
        let begun = begun.json();
        let position = &begun["Response"]["Position"];
        let position: PgLsn = position.as_str().unwrap().parse().unwrap();
        assert!(position <= left, "{position}, {left}");
        cluster.wait_streaming("pgmoneta");
        cluster.wait_received("pgmoneta");
        wait_until("wal.begin is removed", 60, || !permission.exists());
        daemon
            .cli(&["wal", "begin", "primary"])
            .fails(1, "wal begin is not needed");
    }
    let label = daemon.backup("primary");
    daemon.cli(&["verify", "primary", &label]).ok();
}

/// The state of the old archive is not reported for the new one.
#[test]
fn a_new_archive_has_no_state_of_the_old_one() {
    let scratch = Scratch::new("reborn");
    let mut old = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &old)
        .start_streaming();
    for _ in 0..4 {
        write(&old);
    }
    old.wait_received("pgmoneta");
    old.stop();
    let new = Cluster::builder(&scratch).name("new").own_identity();
    let mut new = new.wal_segment_mib(1).create().in_place_of(&old);
    new.start();
    // The hint of the alarm.
    wait_problem(&daemon, "move ");
    let away = daemon.directory().join("away");
    fs::rename(daemon.base_dir().join("primary"), away).unwrap();
    daemon
        .cli(&["wal", "begin", "primary"])
        .ok()
        .fails(0, "\nTake a full backup: pgmoneta-cli backup primary\n");
    new.wait_streaming("pgmoneta");
    wait_until("it is streaming", 60, || {
        daemon.cli(&["status"]).status == 0
    });
    let status = daemon.cli(&["status", "-F", "json"]).ok().json();
    let flushed = status["Response"]["Servers"][0]["WalFlushed"].clone();
    let written = flushed
        .as_str()
        .is_none_or(|flushed| flushed.parse::<PgLsn>().unwrap() <= new.flush_lsn());
    assert!(written, "{flushed} of the old cluster");
    let label = daemon.backup("primary");
    daemon.cli(&["verify", "primary", &label]).ok();
}

/// As with a repository of the C program, which has no system.info: the WAL has the system
/// identifier.
#[test]
fn an_archive_without_system_info_is_not_bound_to_another_cluster() {
    let (scratch, mut right, mut daemon) = with_wal("whose");
    daemon.stop();
    right.stop();
    let system = daemon.base_dir().join("primary/system.info");
    fs::remove_file(&system).unwrap();
    let wrong = Cluster::builder(&scratch).name("wrong").own_identity();
    let mut wrong = wrong.wal_segment_mib(1).create().in_place_of(&right);
    wrong.start();
    daemon.start();
    wait_problem(&daemon, "than the one whose WAL is in");
    assert!(!system.exists());
    wrong.stop();
    // Correcting host and port is enough.
    right.start();
    right.wait_streaming("pgmoneta");
    write(&right);
    right.wait_received("pgmoneta");
}

#[test]
fn a_new_archive_does_not_use_the_slot_of_another_one() {
    let scratch = Scratch::new("usedslot");
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let mut first = Daemon::builder(&scratch)
        .name("first")
        .server("primary", &cluster)
        .start_streaming();
    write(&cluster);
    cluster.wait_received("pgmoneta");
    first.stop();
    let left = cluster.restart_lsn();
    let mut second = Daemon::builder(&scratch)
        .name("second")
        .server("primary", &cluster)
        .start();
    wait_problem(&second, "was used before");
    assert_eq!(cluster.restart_lsn(), left);
    second.stop();

    // As with the C program: WAL up to the slot, in an archive without system.info.
    for name in entries(&first.wal("primary")) {
        let to = second.wal("primary").join(&name);
        fs::copy(first.wal("primary").join(&name), &to).unwrap();
        user().chown(&to);
    }
    fs::remove_file(second.base_dir().join("primary/system.info")).unwrap();
    second.start();
    cluster.wait_streaming("pgmoneta");
    cluster.wait_received("pgmoneta");
    second.stop();

    // A slot that was never used.
    cluster.execute("SELECT pg_drop_replication_slot('pgmoneta')");
    cluster.execute("SELECT pg_create_physical_replication_slot('pgmoneta')");
    let _third = Daemon::builder(&scratch)
        .name("third")
        .server("primary", &cluster)
        .start_streaming();
    write(&cluster);
    cluster.wait_received("pgmoneta");
}
