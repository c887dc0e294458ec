//! A cluster with five rows, two backups, and recovery targets of every kind.

use std::path::{Path, PathBuf};

use postgres::types::PgLsn;

use crate::harness::{Cluster, Daemon, Output, Scratch};

/// The events: row 1, backup A, row 2, restore point, row 3, backup B, row 4, restore point, row 5.
pub struct Scenario {
    pub scratch: Scratch,
    pub cluster: Cluster,
    pub daemon: Daemon,
    /// The label of backup A.
    pub a: String,
    pub b: String,
    /// The inserts of the rows 2 and higher, at the row number minus 2.
    pub steps: Vec<Step>,
}

/// A row that was inserted.
pub struct Step {
    /// The transaction ID.
    pub xid: i64,
    /// A time between its commit and the next step.
    pub time: String,
    /// The end of WAL after it.
    pub lsn: PgLsn,
}

/// The name of the restore point between the backups; it needs quoting in configuration files.
pub const BETWEEN: &str = r#"it's \"here\" = now"#;
/// The name of the restore point after backup B.
pub const LATER: &str = "later";

impl Scenario {
    pub fn new(major: u32, storage: &str) -> Scenario {
        let scratch = Scratch::new("scenario");
        let cluster = Cluster::builder(&scratch)
            .major(major)
            .conf("autovacuum = off")
            .start();
        let daemon = Daemon::builder(&scratch)
            .global(storage)
            .server("primary", &cluster)
            .start_streaming();
        cluster.execute("CREATE TABLE t (n int)");
        let mut scenario = Scenario {
            a: String::new(),
            b: String::new(),
            steps: Vec::new(),
            scratch,
            cluster,
            daemon,
        };
        scenario.cluster.execute("INSERT INTO t VALUES (1)");
        scenario.a = scenario.daemon.backup("primary");
        scenario.step(2);
        scenario.restore_point(BETWEEN);
        scenario.step(3);
        scenario.b = scenario.daemon.backup("primary");
        scenario.step(4);
        scenario.restore_point(LATER);
        scenario.step(5);
        scenario.cluster.wait_received("pgmoneta");
        scenario
    }

    /// Inserts a row.
    pub fn step(&mut self, row: u32) {
        let xid = self.cluster.query_value(&format!(
            "INSERT INTO t VALUES ({row}) RETURNING txid_current()"
        ));
        let time = self.cluster.clock();
        let lsn = self.cluster.flush_lsn();
        self.steps.push(Step { xid, time, lsn });
    }

    /// Creates a restore point.
    pub fn restore_point(&self, name: &str) {
        let name = name.replace('\'', "''");
        self.cluster
            .execute(&format!("SELECT pg_create_restore_point('{name}')"));
    }

    /// The insert of a row, from row 2 on.
    pub fn row(&self, row: usize) -> &Step {
        &self.steps[row - 2]
    }

    /// Restores into a new directory and starts the result.
    pub fn restored(&self, backup: &str, position: &str) -> Cluster {
        let data = self.restore(backup, position);
        let mut restored = Cluster::adopt(&self.scratch, self.cluster.major(), data);
        restored.start();
        restored
    }

    /// Restores into a new directory; returns the data directory.
    pub fn restore(&self, backup: &str, position: &str) -> PathBuf {
        let position = Some(position).filter(|position| !position.is_empty());
        self.daemon.restore(
            "primary",
            backup,
            position,
            &unique(position.unwrap_or("none")),
        )
    }

    /// Runs a restore; asserts that nothing remains if it fails.
    pub fn try_restore(&self, backup: &str, position: &str) -> Output {
        let into = unique("try");
        let output = self
            .daemon
            .restore_output("primary", backup, Some(position), &into);
        if output.status != 0 {
            let left = std::fs::read_dir(self.daemon.directory().join(into));
            assert_eq!(left.unwrap().count(), 0, "{output}");
        }
        output
    }

    /// Restores, waits for the end of recovery and asserts the last row; returns the chosen label.
    pub fn reaches(&self, backup: &str, position: &str, row: &str) -> String {
        let mut restored = self.restored(backup, position);
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), row, "{backup} {position}");
        restored.execute("INSERT INTO t VALUES (100)");
        restored.stop();
        label(restored.data())
    }
}

/// The number of the last row.
pub fn last_row(cluster: &Cluster) -> String {
    cluster.query_value("SELECT max(n)::text FROM t")
}

/// The label in the name of a data directory.
pub fn label(data: &Path) -> String {
    let name = data.file_name().unwrap().to_str().unwrap();
    name.strip_prefix("primary-").unwrap().to_owned()
}

/// A unique directory name.
pub fn unique(what: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let what: String = what
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(12)
        .collect();
    format!("r{number}{what}")
}

/// Waits until recovery pauses at its target.
pub fn wait_paused(cluster: &Cluster) {
    cluster.wait_true("SELECT pg_is_wal_replay_paused()", 60);
}
