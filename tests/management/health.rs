//! `status` and its exit status report unhealthy servers, and their recovery.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::{Cluster, Daemon, Scratch, streaming_daemon, wait_until};

/// The members of the only server, and the exit status.
fn status(daemon: &Daemon) -> (Value, i32) {
    let output = daemon.cli(&["--format", "json", "status"]);
    let server = output.json()["Response"]["Servers"][0].clone();
    (server, output.status)
}

#[test]
fn status_fails_in_an_alarm_and_the_lag_is_unknown() {
    let scratch = Scratch::new("alarm");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server_with("primary", &cluster, "create_slot = no")
        .start();
    wait_until("the missing slot is reported", 60, || {
        status(&daemon).0["WalPhase"] == "alarm"
    });
    let (server, exit) = status(&daemon);
    assert_eq!(exit, 1);
    assert_eq!(server["Healthy"], false);
    assert_eq!(server["WalLag"], Value::Null, "{server}");
    let output = daemon.cli(&["status"]);
    assert!(output.stdout.contains("ALARM"), "{output}");
    assert!(output.stdout.contains("lag unknown"), "{output}");
    assert!(output.stdout.contains("\nServer primary\n"), "{output}");
    output.fails(1, "server primary: no WAL is received");
    daemon
        .cli(&["-F", "raw", "status", "details"])
        .fails(1, "replication slot");
    cluster.execute("SELECT pg_create_physical_replication_slot('pgmoneta')");
    cluster.wait_streaming("pgmoneta");
    wait_until("the server is healthy", 60, || {
        let (server, exit) = status(&daemon);
        exit == 0 && server["Healthy"] == true && server["WalLag"].is_u64()
    });
}

#[test]
fn status_fails_while_a_server_is_stopped() {
    let (_scratch, mut cluster, daemon) = streaming_daemon("away");
    wait_until("WAL arrives", 60, || status(&daemon).1 == 0);
    cluster.stop();
    wait_until("the stop is reported", 60, || status(&daemon).1 == 1);
    let (server, _) = status(&daemon);
    assert_eq!(server["WalPhase"], "reconnecting");
    assert_eq!(server["WalLag"], Value::Null);
    cluster.start();
    wait_until("the server is healthy", 120, || status(&daemon).1 == 0);
}

#[test]
fn a_repaired_gap_is_not_reported_by_the_next_status() {
    let scratch = Scratch::new("repair");
    let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let daemon = Daemon::builder(&scratch)
        .global("compression = none")
        .server("primary", &cluster)
        .start_streaming();
    for _ in 0..4 {
        cluster.execute("SELECT pg_switch_wal() FROM pg_logical_emit_message(false, 'test', 'x')");
    }
    cluster.wait_received("pgmoneta");
    let segments = || {
        let names = fs::read_dir(daemon.wal("primary")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.len() == 24).collect();
        names.sort();
        names
    };
    wait_until("segments are complete", 60, || segments().len() >= 3);
    assert_eq!(status(&daemon).1, 0);

    let lost = daemon.wal("primary").join(&segments()[1]);
    let kept = scratch.join("kept");
    fs::rename(&lost, &kept).unwrap();
    daemon.cli(&["status"]).fails(1, "missing");
    fs::rename(&kept, &lost).unwrap();
    let (server, exit) = status(&daemon);
    assert_eq!(
        (exit, &server["Healthy"]),
        (0, &Value::Bool(true)),
        "{server}"
    );
}

#[test]
fn a_backup_that_cannot_be_restored_makes_the_server_unhealthy() {
    let (scratch, _cluster, daemon) = streaming_daemon("damage");
    let label = daemon.backup("primary");
    assert_eq!(status(&daemon).1, 0);
    let directory = daemon.backups("primary").join(&label);
    let kept = scratch.join("kept");
    for name in ["backup.info", "backup.manifest"] {
        fs::rename(directory.join(name), &kept).unwrap();
        let (server, exit) = status(&daemon);
        assert_eq!((exit, &server["Healthy"]), (1, &Value::Bool(false)));
        let output = daemon.cli(&["status"]);
        let what = format!("the backup {label} cannot be restored: {name}");
        output.fails(1, &what);
        fs::rename(&kept, directory.join(name)).unwrap();
        assert_eq!(status(&daemon).1, 0);
    }
    // An unreadable directory makes its server unhealthy; the request does not fail.
    fs::rename(&directory, &kept).unwrap();
    let backups = daemon.backups("primary");
    fs::rename(&backups, scratch.join("backups")).unwrap();
    fs::write(&backups, "").unwrap();
    let (server, exit) = status(&daemon);
    assert_eq!((exit, &server["Healthy"]), (1, &Value::Bool(false)));
    assert_eq!(server["Server"], "primary");
}

#[test]
fn status_shows_the_servers_without_the_base_directory() {
    let (scratch, _cluster, daemon) = streaming_daemon("nobase");
    wait_until("WAL arrives", 60, || status(&daemon).1 == 0);
    let away = scratch.join("away");
    fs::rename(daemon.base_dir(), &away).unwrap();
    let (server, exit) = status(&daemon);
    assert_eq!((exit, &server["Healthy"]), (1, &Value::Bool(false)));
    assert_eq!(server["Server"], "primary");
    fs::rename(&away, daemon.base_dir()).unwrap();
    wait_until("the server is healthy", 120, || status(&daemon).1 == 0);
}

#[test]
fn a_backup_that_cannot_be_read_now_is_not_called_damaged() {
    let (_scratch, _cluster, daemon) = streaming_daemon("unreadable");
    daemon.cli(&["backup", "primary"]).ok();
    let label = daemon.labels("primary").remove(0);
    let info = daemon.backups("primary").join(&label).join("backup.info");
    let mode = |mode| fs::set_permissions(&info, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    let problems = status(&daemon).0["Problems"].to_string();
    assert!(problems.contains("Permission denied"), "{problems}");
    assert!(!problems.contains("remove"), "{problems}");
    for words in [
        &["verify", "primary", &label][..],
        &["restore", "primary", &label, "/nowhere"],
    ] {
        let output = daemon.cli(words).fails(1, "Permission denied");
        assert!(output.stderr.contains("chmod"), "{output}");
    }
    let info = daemon.cli(&["info", "primary", &label]).ok();
    assert!(!info.stdout.contains("modified"), "{info}");
    mode(0o600);
    wait_until("the backup is read again", 60, || status(&daemon).1 == 0);
    daemon.cli(&["verify", "primary", "newest"]).ok();
}
