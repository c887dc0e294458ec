//! A cluster with a known past: five rows, two backups, and every kind of target between them.

use std::path::{Path, PathBuf};

use crate::harness::{Cluster, Daemon, Output, Scratch, wait_until};

/// What happened, in this order: row 1, backup A, row 2, restore point, row 3, backup B, row 4, restore point, row 5.
pub struct Story {
    pub scratch: Scratch,
    pub cluster: Cluster,
    pub daemon: Daemon,
    /// The labels of the backups.
    pub a: String,
    pub b: String,
    /// The steps that wrote the rows 2 to 5, by row number less 2.
    pub steps: Vec<Step>,
}

/// A row that was written.
pub struct Step {
    /// The transaction.
    pub xid: String,
    /// A moment after it and before the next step.
    pub time: String,
    /// The end of WAL after it.
    pub lsn: String,
}

/// The restore point between the backups; PostgreSQL's configuration files must be told it with care.
pub const BETWEEN: &str = r#"it's \"here\" = now"#;
/// The one after backup B.
pub const LATER: &str = "later";

impl Story {
    pub fn new(major: u32, storage: &str) -> Story {
        let scratch = Scratch::new("story");
        let cluster = Cluster::builder(&scratch)
            .major(major)
            .conf("autovacuum = off")
            .start();
        let daemon = Daemon::builder(&scratch)
            .global(storage)
            .server("primary", &cluster)
            .start();
        cluster.wait_streaming("pgmoneta");
        cluster.sql("CREATE TABLE t (n int)");
        let mut story = Story {
            a: String::new(),
            b: String::new(),
            steps: Vec::new(),
            scratch,
            cluster,
            daemon,
        };
        story.cluster.sql("INSERT INTO t VALUES (1)");
        story.a = story.daemon.backup("primary");
        story.step(2);
        story.point(BETWEEN);
        story.step(3);
        story.b = story.daemon.backup("primary");
        story.step(4);
        story.point(LATER);
        story.step(5);
        story.cluster.wait_received("pgmoneta");
        story
    }

    /// Writes a row.
    pub fn step(&mut self, row: u32) {
        let xid = self.cluster.sql(&format!(
            "INSERT INTO t VALUES ({row}) RETURNING txid_current()"
        ));
        let time = self.cluster.sql("SELECT clock_timestamp()");
        let lsn = self.cluster.sql("SELECT pg_current_wal_lsn()");
        self.steps.push(Step { xid, time, lsn });
    }

    /// Makes a restore point.
    pub fn point(&self, name: &str) {
        let name = name.replace('\'', "''");
        self.cluster
            .sql(&format!("SELECT pg_create_restore_point('{name}')"));
    }

    /// What wrote a row.
    pub fn of(&self, row: usize) -> &Step {
        &self.steps[row - 2]
    }

    /// Restores into a new directory and starts the result.
    pub fn restored(&self, backup: &str, position: &str) -> Cluster {
        let data = self.restore(backup, position);
        let mut restored = Cluster::adopt(&self.scratch, self.cluster.major(), data);
        restored.start();
        restored
    }

    /// Restores into a new directory; the data directory.
    pub fn restore(&self, backup: &str, position: &str) -> PathBuf {
        let position = Some(position).filter(|position| !position.is_empty());
        self.daemon.restore(
            "primary",
            backup,
            position,
            &unique(position.unwrap_or("none")),
        )
    }

    /// Tries to restore, and nothing may be left when it fails.
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

    /// Restores, lets recovery end and compares the last row; the label that was chosen.
    pub fn reaches(&self, backup: &str, position: &str, row: &str) -> String {
        let mut restored = self.restored(backup, position);
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), row, "{backup} {position}");
        restored.sql("INSERT INTO t VALUES (100)");
        restored.stop();
        label(restored.data())
    }
}

/// The highest row.
pub fn last_row(cluster: &Cluster) -> String {
    cluster.sql("SELECT max(n) FROM t")
}

/// The label in the name of a data directory.
pub fn label(data: &Path) -> String {
    let name = data.file_name().unwrap().to_str().unwrap();
    name.strip_prefix("primary-").unwrap().to_owned()
}

/// A name for a directory that no other has.
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

/// Waits until recovery rests at its target.
pub fn wait_paused(cluster: &Cluster) {
    wait_until("recovery pauses", 60, || {
        cluster
            .try_sql("SELECT pg_is_wal_replay_paused()")
            .is_ok_and(|answer| answer == "t")
    });
}
