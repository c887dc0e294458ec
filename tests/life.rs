//! Ten backups of a cluster that pgbench changes meanwhile, with random deletions between. Each
//! backup that is left restores to its end, and to a random later moment with its rows.

use std::process::Stdio;

use super::harness::{Cluster, Daemon, Process, Random, Scratch, run};

const BACKUPS: usize = 10;
/// Deletions; each of a random backup, so that old, middle and new ones go.
const DELETIONS: usize = 6;

/// All transactions of pgbench add the same number to a row of each table and to the history.
const BALANCES: &str = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = sum(delta) \
     AND (SELECT sum(bbalance) FROM pgbench_branches) = sum(delta) \
     AND (SELECT sum(tbalance) FROM pgbench_tellers) = sum(delta) FROM pgbench_history";

/// What the cluster had at a moment without writers.
struct Moment {
    time: String,
    rows: String,
}

struct Backup {
    label: String,
    /// The number of transactions before and after it.
    transactions: (u64, u64),
    /// The first of the moments after its end.
    later: usize,
}

struct World {
    scratch: Scratch,
    cluster: Cluster,
    daemon: Daemon,
    random: Random,
    backups: Vec<Backup>,
    moments: Vec<Moment>,
}

#[test]
fn backups_between_which_others_are_deleted_restore_to_their_end_and_later() {
    let mut world = World::new();
    let mut deleted = 0;
    while world.moments.len() < BACKUPS {
        world.back_up_under_load();
        world.change();
        // At least two are left, of which the newest is one.
        let due = (world.moments.len() * DELETIONS).div_ceil(BACKUPS);
        while deleted < due && world.backups.len() > 2 {
            world.delete_one();
            deleted += 1;
        }
    }
    // Recovery to a time needs a later commit.
    world.cluster.execute("CREATE TABLE last ()");
    world.cluster.wait_received("pgmoneta");
    for number in 0..world.backups.len() {
        world.check_end(&world.backups[number]);
        world.check_later(number);
    }
}

impl World {
    fn new() -> World {
        let scratch = Scratch::new("life");
        let cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
        run(cluster.pgbench().args(["-q", "-i", "-s", "1"]));
        let daemon = Daemon::builder(&scratch)
            .global("compression = zstd\nencryption = aes-256\nretention = 1000")
            .server("primary", &cluster)
            .start_streaming();
        World {
            scratch,
            cluster,
            daemon,
            random: Random::new(),
            backups: Vec::new(),
            moments: Vec::new(),
        }
    }

    fn back_up_under_load(&mut self) {
        let load = self
            .cluster
            .pgbench()
            .args(["-n", "-c", "2", "-t", "1000000000"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut load = Process::new(load, "pgbench");
        let before = self.cluster.count("pgbench_history");
        let label = self.daemon.backup("primary");
        self.backups.push(Backup {
            label,
            transactions: (before, self.cluster.count("pgbench_history")),
            later: self.moments.len(),
        });
        load.kill();
        self.cluster.wait_quiet();
    }

    /// Changes rows, and notes them.
    fn change(&mut self) {
        let transactions = (20 + self.random.below(200)).to_string();
        run(self.cluster.pgbench().args(["-n", "-t", &transactions]));
        let sql = format!("CREATE TABLE t{} AS SELECT 1", self.moments.len());
        self.cluster.execute(&sql);
        self.moments.push(Moment {
            time: self.cluster.clock(),
            rows: self.cluster.fingerprint(),
        });
    }

    fn delete_one(&mut self) {
        let number = self.random.below(self.backups.len() as u64) as usize;
        let backup = self.backups.remove(number);
        self.daemon.cli(&["delete", "primary", &backup.label]).ok();
    }

    fn restored(&self, label: &str, position: &str) -> Cluster {
        let into = format!("{label}-{}", position.len());
        let data = self.daemon.restore("primary", label, Some(position), &into);
        let mut restored = Cluster::adopt(&self.scratch, self.cluster.major(), data);
        restored.start();
        restored.wait_primary(120);
        restored
    }

    fn check_end(&self, backup: &Backup) {
        let restored = self.restored(&backup.label, "immediate");
        let (before, after) = backup.transactions;
        let transactions = restored.count("pgbench_history");
        assert!(
            (before..=after).contains(&transactions),
            "{before} {transactions} {after}"
        );
        assert!(restored.query_value::<bool>(BALANCES), "{}", backup.label);
    }

    fn check_later(&mut self, number: usize) {
        let backup = &self.backups[number];
        let count = self.moments.len() - backup.later;
        let moment = backup.later + self.random.below(count as u64) as usize;
        let moment = &self.moments[moment];
        let restored = self.restored(&backup.label, &format!("time={}", moment.time));
        assert_eq!(restored.fingerprint(), moment.rows, "{}", backup.label);
    }
}
