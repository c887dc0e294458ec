//! Random trees of timelines. A cluster is recovered to random positions, promoted, and replaced by
//! an earlier server, while one daemon receives its WAL. Then the end of every timeline and random
//! positions are restored, and their rows are compared with the commits that clients saw.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use pgmoneta::repository::WalDirectory;
use pgmoneta::unit::SegmentSize;

use super::harness::{Cluster, Daemon, Random, Scratch, discard, installed, write_owned};

/// How many random positions of each tree are restored.
const POSITIONS: usize = 10;

#[test]
fn five_trees_on_three_versions() {
    grow_all(&[(13, 2), (15, 3), (18, 4), (15, 2), (13, 4)]);
}

#[test]
fn four_more_trees_and_one_of_eight_timelines() {
    grow_all(&[(18, 8), (13, 3), (18, 2), (15, 4), (18, 3)]);
}

/// For each pair: a tree on that major version with that many timelines.
fn grow_all(trees: &[(u32, u32)]) {
    let mut random = Random::new();
    for &(major, timelines) in trees {
        if installed(major).is_none() {
            assert!(
                std::env::var_os("CI").is_none(),
                "PostgreSQL {major} is missing"
            );
            continue;
        }
        let mut tree = Tree::new(major, random.below(2) == 0);
        while tree.newest < timelines {
            tree.grow(&mut random);
        }
        tree.check(&mut random);
    }
}

/// A commit that a client saw.
struct Row {
    number: usize,
    xid: i64,
    /// `clock_timestamp()` after this commit and before the next one.
    time: String,
}

struct Tree {
    scratch: Scratch,
    daemon: Daemon,
    /// The running server, and its timeline.
    live: (u32, Cluster),
    /// Cleanly stopped servers that can be started again, with their timelines.
    stopped: Vec<(u32, Cluster)>,
    /// The highest timeline.
    newest: u32,
    rows: Vec<Row>,
    /// The rows that are visible on each timeline, in commit order.
    seen: BTreeMap<u32, Vec<usize>>,
    /// The steps so far, for assertion messages.
    steps: Vec<String>,
}

impl Tree {
    fn new(major: u32, compressed: bool) -> Tree {
        let scratch = Scratch::new("tree");
        let cluster = Cluster::builder(&scratch)
            .major(major)
            .wal_segment_mib(1)
            .conf("autovacuum = off\nwal_keep_size = '1GB'\nmax_wal_size = '1GB'")
            .start();
        let storage = if compressed {
            "compression = zstd\nencryption = aes-256-gcm"
        } else {
            "compression = none"
        };
        let daemon = Daemon::builder(&scratch)
            .global(storage)
            .server("primary", &cluster)
            .start_streaming();
        cluster.execute("CREATE TABLE t (n int, filler text)");
        daemon.backup("primary");
        let mut tree = Tree {
            scratch,
            daemon,
            live: (1, cluster),
            stopped: Vec::new(),
            newest: 1,
            rows: Vec::new(),
            seen: BTreeMap::from([(1, Vec::new())]),
            steps: vec![format!("PostgreSQL {major}")],
        };
        tree.commit(200);
        tree.commit(30_000);
        tree
    }

    /// Commits a row with a filler of `blocks` times 32 bytes.
    fn commit(&mut self, blocks: u64) {
        let number = self.rows.len();
        let insert = format!(
            "INSERT INTO t SELECT {number}, string_agg(md5(random()::text), '') FROM \
             generate_series(0, {blocks}) RETURNING txid_current()"
        );
        let cluster = &self.live.1;
        self.rows.push(Row {
            number,
            xid: cluster.query_value(&insert),
            time: cluster.query_value("SELECT clock_timestamp()::text"),
        });
        self.seen.get_mut(&self.live.0).unwrap().push(number);
    }

    /// Adds a timeline, or continues an old one.
    fn grow(&mut self, random: &mut Random) {
        match random.below(5) {
            0 | 1 => self.recover(random),
            2 | 3 => self.promote(),
            _ if self.stopped.is_empty() => self.recover(random),
            _ => self.switch_back(random),
        }
        assert_eq!(
            self.content(&self.live.1),
            self.seen[&self.live.0],
            "{:?}",
            self.steps
        );
        self.live.1.wait_streaming("pgmoneta");
        for _ in 0..=random.below(3) {
            let blocks = [1, 500, 12_000, 40_000][random.below(4) as usize];
            self.commit(blocks);
        }
        if random.below(4) == 0 {
            self.live.1.execute("SELECT pg_switch_wal()");
        }
        if random.below(6) == 0 {
            self.steps.push("a backup".to_owned());
            self.daemon.backup("primary");
        }
    }

    /// Stops the server after all of its WAL is received.
    fn stop(&mut self) {
        self.live.1.wait_received("pgmoneta");
        self.live.1.stop();
    }

    /// Replaces the running server.
    fn replace(&mut self, timeline: u32, cluster: Cluster) {
        let cluster = cluster.in_place_of(&self.live.1);
        self.stopped
            .push(std::mem::replace(&mut self.live, (timeline, cluster)));
        // Restarted, since the delay between its connection attempts grows.
        self.daemon.stop();
        self.live.1.start();
        self.live.1.wait_primary(60);
        self.daemon.start();
    }

    /// Recovers to a random position on any timeline.
    fn recover(&mut self, random: &mut Random) {
        self.stop();
        let (timeline, count) = self.random_target(random);
        let position = self.position(random, timeline, count);
        self.newest += 1;
        self.steps
            .push(format!("{}: recovered to {position}", self.newest));
        let data = self.restore("newest", &position);
        let cluster = Cluster::adopt(&self.scratch, self.live.1.major(), data);
        let seen = self.seen[&timeline][..count].to_vec();
        self.seen.insert(self.newest, seen);
        self.replace(self.newest, cluster);
        self.check_timeline();
    }

    /// Promotes the server itself.
    fn promote(&mut self) {
        self.stop();
        self.newest += 1;
        self.steps
            .push(format!("{}: promoted from {}", self.newest, self.live.0));
        let cluster = &mut self.live.1;
        // So that it chooses a timeline ID that the archive does not have.
        for entry in fs::read_dir(self.daemon.wal("primary")).unwrap() {
            let path = entry.unwrap().path();
            let there = cluster
                .data()
                .join("pg_wal")
                .join(path.file_name().unwrap());
            if path.extension().is_some_and(|end| end == "history") && !there.exists() {
                write_owned(&there, fs::read(path).unwrap());
            }
        }
        cluster.configure("recovery_target_timeline = 'current'");
        write_owned(&cluster.data().join("standby.signal"), "");
        cluster.start();
        cluster.promote();
        let seen = self.seen[&self.live.0].clone();
        self.seen.insert(self.newest, seen);
        self.live.0 = self.newest;
        self.check_timeline();
    }

    /// Starts an earlier server again, on its own timeline.
    fn switch_back(&mut self, random: &mut Random) {
        self.stop();
        let index = random.below(self.stopped.len() as u64) as usize;
        let (timeline, cluster) = self.stopped.swap_remove(index);
        self.steps.push(format!("back to {timeline}"));
        self.replace(timeline, cluster);
    }

    fn check_timeline(&self) {
        let cluster = &self.live.1;
        cluster.execute("CHECKPOINT");
        let timeline: i32 = cluster.query_value("SELECT timeline_id FROM pg_control_checkpoint()");
        assert_eq!(timeline as u32, self.live.0, "{:?}", self.steps);
    }

    /// A timeline and a number of its rows, fewer than all.
    fn random_target(&self, random: &mut Random) -> (u32, usize) {
        let timelines: Vec<_> = self.seen.keys().copied().collect();
        let timeline = timelines[random.below(timelines.len() as u64) as usize];
        let rows = self.seen[&timeline].len() as u64;
        (timeline, 1 + random.below(rows - 1) as usize)
    }

    /// The position argument of `restore`.
    fn position(&self, random: &mut Random, timeline: u32, count: usize) -> String {
        let row = &self.rows[self.seen[&timeline][count - 1]];
        match random.below(2) {
            0 => format!("xid={},timeline={timeline}", row.xid),
            _ => format!("time={},timeline={timeline}", row.time),
        }
    }

    /// Restores the ends of all timelines and random positions.
    fn check(&mut self, random: &mut Random) {
        self.stop();
        let followed = self.live.0;
        for (timeline, seen) in &self.seen {
            let position = if *timeline == followed {
                "current".to_owned()
            } else {
                format!("current,timeline={timeline}")
            };
            self.check_restore(&position, seen);
        }
        for _ in 0..POSITIONS {
            let (timeline, count) = self.random_target(random);
            let position = self.position(random, timeline, count);
            self.check_restore(&position, &self.seen[&timeline][..count]);
        }
        let verified = self.daemon.cli(&["verify", "primary", "wal"]);
        assert_eq!(verified.status, 0, "{:?} {verified}", self.steps);
        let size = SegmentSize::new(1 << 20).unwrap();
        let wal = WalDirectory::new(&self.daemon.wal("primary"), size);
        assert_eq!(wal.gaps(&[]).unwrap(), [], "{:?}", self.steps);
    }

    fn check_restore(&self, position: &str, seen: &[usize]) {
        let data = self.restore("newest", position);
        let mut restored = Cluster::adopt(&self.scratch, self.live.1.major(), data.clone());
        restored.start();
        restored.wait_primary(60);
        assert_eq!(
            self.content(&restored),
            seen,
            "{position}: {:?}",
            self.steps
        );
        restored.kill();
        discard(&data);
    }

    fn restore(&self, backup: &str, position: &str) -> PathBuf {
        let into = format!("{}", fs::read_dir(self.daemon.directory()).unwrap().count());
        self.daemon
            .restore("primary", backup, Some(position), &into)
    }

    /// The row numbers in the cluster.
    fn content(&self, cluster: &Cluster) -> Vec<usize> {
        let rows: Vec<i32> = cluster.query_values("SELECT n FROM t ORDER BY n");
        let rows: Vec<usize> = rows.into_iter().map(|row| row as usize).collect();
        assert!(rows.iter().all(|row| *row == self.rows[*row].number));
        rows
    }
}
