//! The recovery settings have no effect after the end of recovery: a standby of the restored server
//! follows it, and no file contains them.

use std::fs;
use std::path::Path;

use super::scenario::{last_row, unique, wait_paused};
use crate::harness::{Cluster, Daemon, Scratch, installed, write_owned};

/// The major versions under test: the oldest, one with all client programs, the newest.
pub fn majors() -> impl Iterator<Item = u32> {
    [13, 15, 18]
        .into_iter()
        .filter(|major| installed(*major).is_some())
}

/// A cluster with row 1, a backup, row 2, the time `time`, and row 3.
pub struct Rows {
    pub scratch: Scratch,
    pub cluster: Cluster,
    pub daemon: Daemon,
    pub time: String,
}

impl Rows {
    pub fn new(major: u32, conf: &str) -> Rows {
        let scratch = Scratch::new("rows");
        let cluster = Cluster::builder(&scratch)
            .major(major)
            .conf("autovacuum = off")
            .conf(conf)
            .start();
        let daemon = Daemon::builder(&scratch)
            .server("primary", &cluster)
            .start_streaming();
        cluster.execute("CREATE TABLE t (n int)");
        cluster.execute("INSERT INTO t VALUES (1)");
        daemon.backup("primary");
        cluster.execute("INSERT INTO t VALUES (2)");
        let time = cluster.clock();
        cluster.execute("INSERT INTO t VALUES (3)");
        cluster.wait_received("pgmoneta");
        Rows {
            scratch,
            cluster,
            daemon,
            time,
        }
    }

    /// Restores into a new directory; not started.
    pub fn restore(&self, position: &str) -> Cluster {
        let into = unique(position);
        let data = self
            .daemon
            .restore("primary", "newest", Some(position), &into);
        Cluster::adopt(&self.scratch, self.cluster.major(), data)
    }
}

/// The recovery settings and files that remain in a data directory.
pub fn leftovers(data: &Path) -> Vec<String> {
    let words = ["recovery_", "restore_command", "include"];
    let conf = fs::read_to_string(data.join("postgresql.auto.conf")).unwrap();
    let mut found: Vec<String> = conf
        .lines()
        .filter(|line| !line.starts_with('#') && words.iter().any(|word| line.contains(word)))
        .map(str::to_owned)
        .collect();
    for name in [
        "recovery.signal",
        "standby.signal",
        "pg_wal/pgmoneta_recovery.conf",
    ] {
        found.extend(Some(name.to_owned()).filter(|name| data.join(name).exists()));
    }
    found
}

/// Asserts that a row that is inserted on the restored server arrives at its standby.
fn assert_follows(restored: &Cluster, standby: &Cluster, row: u32) {
    restored.execute(&format!("INSERT INTO t VALUES ({row})"));
    standby.wait_true(&format!("SELECT max(n) = {row} FROM t"), 60);
    assert!(standby.is_in_recovery());
    assert_eq!(standby.setting("recovery_target_timeline"), "latest");
    assert_eq!(standby.setting("recovery_target_time"), "");
}

#[test]
fn a_standby_of_a_restored_server_follows_it() {
    for major in majors() {
        let rows = Rows::new(major, "");
        for (position, row) in [
            (format!("time={}", rows.time), "2"),
            ("current".to_owned(), "3"),
        ] {
            let mut restored = rows.restore(&position);
            restored.start();
            restored.wait_primary(60);
            assert_eq!(last_row(&restored), row);
            let standby = restored.follower(&rows.scratch, &unique("standby"));
            assert_follows(&restored, &standby, 10);
            restored.restart();
            assert!(!restored.is_in_recovery());
            restored.execute("ALTER SYSTEM SET work_mem = '6MB'");
            assert_eq!(leftovers(restored.data()), [""; 0], "{major} {position}");
            assert_follows(&restored, &standby, 11);
        }
    }
}

/// `ALTER SYSTEM` copies included settings into its file, and a base backup of the server contains
/// its files.
#[test]
fn alter_system_and_base_backups_during_a_pause_leave_no_recovery_settings() {
    for major in majors() {
        let rows = Rows::new(major, "");
        let mut restored = rows.restore(&format!("time={},action=pause", rows.time));
        restored.start();
        wait_paused(&restored);
        let standby = restored.follower(&rows.scratch, &unique("early"));
        restored.execute("ALTER SYSTEM SET work_mem = '6MB'");
        restored.kill();
        restored.start();
        wait_paused(&restored);
        assert_eq!(last_row(&restored), "2");
        restored.execute("SELECT pg_wal_replay_resume()");
        restored.wait_primary(60);
        assert_follows(&restored, &standby, 10);
        assert_eq!(leftovers(restored.data()), [""; 0], "{major}");
        restored.restart();
        assert_eq!(restored.setting("work_mem"), "6MB");
        let later = restored.follower(&rows.scratch, &unique("later"));
        assert_follows(&restored, &later, 11);
    }
}

/// Between the end of recovery and `recovery_end_command` there is a checkpoint: a server that
/// crashes there starts as a primary, and the command never runs.
#[test]
fn recovery_settings_have_no_effect_after_a_crash_at_the_end_of_recovery() {
    for major in majors() {
        let rows = Rows::new(major, "");
        let mut restored = rows.restore(&format!("time={}", rows.time));
        restored.start();
        restored.wait_primary(60);
        restored.stop();
        // As if the command had not run.
        let data = restored.data().to_owned();
        let mut conf = fs::read_to_string(data.join("postgresql.auto.conf")).unwrap();
        conf.push_str("include_if_exists = 'recovery.signal'\n");
        write_owned(&data.join("postgresql.auto.conf"), conf);
        let settings =
            "recovery_target_time = '2001-01-01'\nrecovery_target_timeline = 'current'\n";
        write_owned(&data.join("pg_wal/pgmoneta_recovery.conf"), settings);
        restored.start();
        let standby = restored.follower(&rows.scratch, &unique("standby"));
        assert_follows(&restored, &standby, 10);
    }
}
