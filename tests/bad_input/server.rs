//! A server that refuses connections, has unsuitable settings, or crashes.

use std::process::Stdio;

use crate::harness::{
    Cluster, Daemon, Process, REPLICATION_USER, SUPERUSER, Scratch, client, user, wait_until,
};

#[test]
fn a_wrong_password_is_reported_and_can_be_corrected() {
    let scratch = Scratch::new("password");
    let cluster = Cluster::builder(&scratch).start();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .password("not this one")
        .start();
    daemon.wait_log("password authentication failed", 30);
    daemon.cli(&["backup", "primary"]).fails(1, "");
    assert!(daemon.labels("primary").is_empty());
    assert!(
        !daemon.log().contains("not this one"),
        "a password in the log"
    );

    cluster.execute(&format!(
        "ALTER ROLE {REPLICATION_USER} PASSWORD 'not this one'"
    ));
    cluster.wait_streaming("pgmoneta");
    daemon.backup("primary");
    daemon.stop();
}

#[test]
fn a_role_without_replication_is_reported() {
    let scratch = Scratch::new("role");
    let cluster = Cluster::builder(&scratch).start();
    cluster.execute(&format!("ALTER ROLE {REPLICATION_USER} NOREPLICATION"));
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    daemon.wait_log("replication", 30);
    let output = daemon.cli(&["backup", "primary"]).fails(1, "");
    assert!(
        daemon.log().to_lowercase().contains("hint"),
        "there is no hint: {output}"
    );
    assert!(daemon.labels("primary").is_empty());

    cluster.execute(&format!("ALTER ROLE {REPLICATION_USER} REPLICATION"));
    cluster.wait_streaming("pgmoneta");
    daemon.backup("primary");
}

#[test]
fn wal_level_minimal_is_reported() {
    let scratch = Scratch::new("minimal");
    let cluster = Cluster::builder(&scratch)
        .conf("wal_level = minimal\nmax_wal_senders = 0")
        .start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    wait_until("wal_level or max_wal_senders is named", 30, || {
        let log = daemon.log();
        log.contains("wal_level") || log.contains("max_wal_senders")
    });
    daemon.cli(&["backup", "primary"]).fails(1, "");
    assert!(daemon.labels("primary").is_empty());
}

#[test]
fn an_active_slot_is_reported_and_waited_for() {
    let scratch = Scratch::new("slot");
    let cluster = Cluster::builder(&scratch).start();
    let directory = scratch.directory("other");
    let other = user()
        .command(client("pg_receivewal"))
        .args(["--create-slot", "-S", "pgmoneta", "-h"])
        .arg(cluster.sockets())
        .args(["-p", &cluster.port().to_string(), "-U", SUPERUSER])
        .status();
    assert!(other.unwrap().success());
    let other = user()
        .command(client("pg_receivewal"))
        .args(["-S", "pgmoneta", "-h"])
        .arg(cluster.sockets())
        .args(["-p", &cluster.port().to_string(), "-U", SUPERUSER, "-D"])
        .arg(&directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut other = Process::new(other.unwrap(), "pg_receivewal");
    cluster.wait_streaming("pg_receivewal");
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    daemon.wait_log("is active for PID", 30);
    other.kill();
    // The WAL that the other receiver received is missing here.
    daemon.wait_log("was used before", 120);
    daemon.cli(&["wal", "begin", "primary"]).ok();
    cluster.wait_streaming("pgmoneta");
}

#[test]
fn a_lost_slot_is_reported_with_a_hint() {
    let scratch = Scratch::new("lost");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(
            "max_slot_wal_keep_size = 1MB\nmin_wal_size = 2MB\nmax_wal_size = 3MB\n\
             wal_keep_size = 0",
        )
        .start();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start_streaming();
    daemon.backup("primary");
    daemon.stop();
    let lost = "SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = 'pgmoneta'";
    wait_until("the slot is lost", 60, || {
        cluster.execute("CREATE TABLE IF NOT EXISTS t (x text)");
        cluster.execute("INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 5000)");
        cluster.execute("SELECT pg_switch_wal()");
        cluster.execute("CHECKPOINT");
        cluster.query_value(lost)
    });
    daemon.start();
    daemon.wait_log("is lost", 60);
    assert!(
        daemon.log().to_lowercase().contains("hint"),
        "there is no hint"
    );

    cluster.execute("ALTER SYSTEM SET max_slot_wal_keep_size = -1");
    cluster.reload();
    // The hint: drop the slot; the daemon creates a new one, and a new backup is taken.
    cluster.execute("SELECT pg_drop_replication_slot('pgmoneta')");
    cluster.wait_streaming("pgmoneta");
    let label = daemon.backup("primary");
    daemon.cli(&["verify", "primary", &label]).ok();
    let rows = cluster.fingerprint();
    cluster.wait_received("pgmoneta");
    let data = daemon.restore("primary", &label, Some("current"), "restored");
    let mut restored = Cluster::adopt(&scratch, cluster.major(), data);
    restored.start();
    restored.wait_primary(60);
    assert_eq!(restored.fingerprint(), rows);
}

#[test]
fn a_server_crash_during_a_backup_leaves_no_files() {
    let scratch = Scratch::new("dies");
    let mut cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server_with("primary", &cluster, "max_rate = 32k")
        .start_streaming();
    let mut backup = Process::new(
        daemon
            .cli_command(&["backup", "primary"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
        "pgmoneta-cli",
    );
    cluster.wait_true(
        "SELECT count(*) = 1 FROM pg_stat_progress_basebackup WHERE backup_streamed > 0",
        30,
    );
    cluster.kill();
    let status = backup.wait(60);
    assert_eq!(status.code(), Some(1));
    let left = [daemon.labels("primary"), daemon.unfinished("primary")].concat();
    assert!(
        left.is_empty(),
        "the failed backup is not removed: {left:?}"
    );

    cluster.start();
    cluster.wait_streaming("pgmoneta");
}
