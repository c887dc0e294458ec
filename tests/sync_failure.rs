//! A disk that fails to sync, or syncs slowly: nothing is acknowledged or listed before it is on
//! stable storage.
#![cfg(target_os = "linux")]

use std::fs;

use postgres::types::PgLsn;

use super::harness::{
    Cluster, Daemon, Faults, Process, RunningStatement, Scratch, StoppedWalSender, wait_until,
};

/// A cluster with a daemon whose repository can be made to fail.
struct Setup {
    daemon: Daemon,
    cluster: Cluster,
    faults: Faults,
    _scratch: Scratch,
}

impl Setup {
    /// With faults below the directory `below` of the repository.
    fn new(below: &str) -> Self {
        let scratch = Scratch::new("sync");
        let cluster = Cluster::builder(&scratch).start();
        let faults = Faults::new(&scratch, &scratch.join("moneta/repo/primary").join(below));
        let builder = Daemon::builder(&scratch).server_with(
            "primary",
            &cluster,
            "wal_receiver_timeout = 600s",
        );
        let daemon = faults.daemon(builder).start_streaming();
        cluster.execute("CREATE TABLE t (n int)");
        let setup = Self {
            daemon,
            cluster,
            faults,
            _scratch: scratch,
        };
        setup.wait_flushed(setup.write());
        setup
    }

    /// Writes some WAL and returns its end.
    fn write(&self) -> PgLsn {
        self.cluster
            .execute("INSERT INTO t SELECT g FROM generate_series(1, 100) g");
        self.cluster.flush_lsn()
    }

    /// Whether a position is acknowledged.
    fn is_flushed(&self, lsn: PgLsn) -> bool {
        self.cluster.restart_lsn() >= lsn
    }

    fn wait_flushed(&self, lsn: PgLsn) {
        wait_until("the position is acknowledged", 60, || self.is_flushed(lsn));
    }
}

#[test]
fn nothing_is_acknowledged_after_a_failed_sync() {
    let setup = Setup::new("wal");
    setup.faults.on("sync");
    let mut before = setup.cluster.restart_lsn();
    let mut last = setup.write();
    wait_until("a sync has failed", 30, || setup.faults.happened("sync"));
    // A position may be acknowledged while the fault is enabled, but none after.
    if setup.is_flushed(last) {
        before = setup.cluster.restart_lsn();
        last = setup.write();
    }
    // Over several attempts of the receiver: each ends with the first failed sync.
    for _ in 0..2 {
        last = setup.write();
        let times = setup.faults.times("sync");
        wait_until("another sync has failed", 30, || {
            setup.faults.times("sync") > times
        });
        assert!(
            !setup.is_flushed(last),
            "acknowledged without a sync: {last}"
        );
    }
    assert_eq!(
        setup.cluster.restart_lsn(),
        before,
        "the position moved although no sync has worked"
    );

    setup.faults.off("sync");
    setup.wait_flushed(last);
}

#[test]
fn a_segment_that_the_disk_corrupts_while_sealing_stays_plain() {
    let mut setup = Setup::new("wal");
    setup.faults.on_with("garble", ".zstd.tmp");
    let name = "SELECT pg_walfile_name(pg_switch_wal())";
    let segment = setup
        .daemon
        .wal("primary")
        .join(setup.cluster.query_value::<String>(name));
    let sealed = segment.with_extension("zstd");
    setup.daemon.wait_log("cannot be sealed", 30);
    assert!(setup.faults.happened("garble"));
    assert!(segment.exists() && !sealed.exists());
    let theirs = setup.cluster.data().join("pg_wal");
    let theirs = theirs.join(segment.file_name().unwrap());
    assert!(fs::read(&segment).unwrap() == fs::read(theirs).unwrap());

    setup.faults.off("garble");
    setup.daemon.kill(); // it would retry by itself, but later
    setup.daemon.start();
    wait_until("the segment is sealed", 60, || {
        sealed.exists() && !segment.exists()
    });
}

#[test]
fn a_commit_waits_for_the_sync() {
    let setup = Setup::new("wal");
    setup
        .cluster
        .configure("synchronous_standby_names = 'pgmoneta'");
    setup.cluster.reload();
    setup
        .cluster
        .wait_true("SELECT sync_state = 'sync' FROM pg_stat_replication", 30);
    setup.faults.on("hang");
    let commit = RunningStatement::start(&setup.cluster, "INSERT INTO t VALUES (-1)");
    wait_until("a sync waits", 30, || setup.faults.happened("hang"));
    let waiting = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    setup.cluster.wait_true(waiting, 30);
    // It keeps waiting.
    for _ in 0..30 {
        assert!(setup.cluster.query_value::<bool>(waiting));
        assert!(
            !commit.has_ended(),
            "committed although the sync has not ended"
        );
    }
    setup.faults.off("hang");
    commit.wait(30).unwrap();
}

#[test]
fn a_backup_that_cannot_be_synced_is_not_listed() {
    let mut setup = Setup::new("basebackup");
    let first = setup.daemon.backup("primary");
    setup.faults.on("sync");
    let output = setup.daemon.cli(&["backup", "primary"]);
    assert_eq!(output.status, 1, "{output}");
    assert!(setup.faults.happened("sync"));
    setup.faults.off("sync");
    assert_eq!(setup.daemon.labels("primary"), [first]);
    setup.daemon.kill();
    setup.daemon.start();
    setup.cluster.wait_streaming("pgmoneta");
    setup.daemon.cli(&["backup", "primary"]).ok();
    let labels = setup.daemon.labels("primary");
    assert_eq!(labels.len(), 2);
    setup.daemon.cli(&["verify", "primary", "newest"]).ok();
}

#[test]
fn a_backup_is_not_listed_before_its_wal_is_synced() {
    let setup = Setup::new("wal");
    let held = StoppedWalSender::stop(&setup.cluster, "pgmoneta");
    let child = setup.daemon.cli_command(&["backup", "primary"]).spawn();
    let mut backup = Process::new(child.unwrap(), "pgmoneta-cli");
    // The control file is sent last.
    wait_until("the control file is stored", 60, || {
        let backups = setup.daemon.backups("primary");
        setup.daemon.unfinished("primary").iter().any(|name| {
            backups
                .join(name)
                .join("data/global/pg_control.zstd")
                .exists()
        })
    });
    setup.faults.on("sync");
    drop(held);
    for _ in 0..2 {
        let times = setup.faults.times("sync");
        wait_until("a sync of WAL has failed", 30, || {
            setup.faults.times("sync") > times
        });
        assert!(backup.ended().is_none() && setup.daemon.labels("primary").is_empty());
    }
    setup.faults.off("sync");
    assert!(backup.wait(60).success());
    assert_eq!(setup.daemon.labels("primary").len(), 1);
    setup.daemon.cli(&["verify", "primary", "newest"]).ok();
}
