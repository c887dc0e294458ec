//! Retention of a real daemon: old backups go, and the WAL that no backup needs, also while the
//! server is down; what is kept restores.
//!
//! Labels are local time: a daemon in a time zone far to the east sees the backups that were taken
//! in one far to the west as nearly two days old.

use std::collections::BTreeSet;
use std::fs;

use super::harness::{Cluster, Daemon, Scratch, wait_until, write_owned};

const WEST: &str = "WEST+20";
const EAST: &str = "EAST-20";

/// The names of the archived segments of a timeline, without suffixes.
fn segments(daemon: &Daemon, timeline: u32) -> BTreeSet<String> {
    let names = fs::read_dir(daemon.wal("primary")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let prefix = format!("{timeline:08X}");
    let of_timeline = names.filter(|name| name.starts_with(&prefix) && name.len() >= 24);
    of_timeline.map(|name| name[..24].to_owned()).collect()
}

/// The first segment of a backup.
fn first_segment(daemon: &Daemon, label: &str) -> String {
    let info = daemon.backups("primary").join(label).join("backup.info");
    let info = fs::read_to_string(info).unwrap();
    let line = info.lines().find(|line| line.starts_with("WAL=")).unwrap();
    line["WAL=".len()..].to_owned()
}

fn configure(daemon: &Daemon, from: &str, to: &str) {
    let text = fs::read_to_string(daemon.configuration()).unwrap();
    assert!(text.contains(from), "{text}");
    write_owned(&daemon.configuration(), text.replace(from, to));
}

struct World {
    scratch: Scratch,
    cluster: Cluster,
    daemon: Daemon,
}

impl World {
    fn new() -> World {
        let scratch = Scratch::new("retention");
        let cluster = Cluster::builder(&scratch)
            .wal_segment_mib(1)
            .conf("autovacuum = off")
            .start();
        let daemon = Daemon::builder(&scratch)
            .global("compression = zstd\nretention = 30\nretention_interval = 86400")
            .env("TZ", WEST)
            .server("primary", &cluster)
            .start_streaming();
        cluster.execute("CREATE TABLE t (n int)");
        World {
            scratch,
            cluster,
            daemon,
        }
    }

    fn row(&self, number: u32) {
        self.cluster
            .execute(&format!("INSERT INTO t VALUES ({number})"));
        for _ in 0..3 {
            self.cluster
                .execute("INSERT INTO t SELECT 0 FROM generate_series(1, 10)");
            self.cluster.execute("SELECT pg_switch_wal()");
        }
        self.cluster.wait_received("pgmoneta");
    }

    /// The number of the last row after a restore.
    fn restored(&self, backup: &str, position: Option<&str>, into: &str) -> String {
        let data = self.daemon.restore("primary", backup, position, into);
        let mut restored = Cluster::adopt(&self.scratch, self.cluster.major(), data);
        restored.start();
        restored.wait_primary(60);
        let row = restored.query_value("SELECT max(n)::text FROM t");
        restored.stop();
        row
    }

    fn retention(&self, arguments: &[&str]) -> String {
        let arguments = [&["retention", "primary"], arguments].concat();
        self.daemon.cli(&arguments).ok().stdout
    }
}

#[test]
fn old_backups_and_the_wal_that_only_they_need_go_and_the_others_restore() {
    let mut world = World::new();
    world.row(1);
    let a = world.daemon.backup("primary");
    world.row(2);
    let b = world.daemon.backup("primary");
    world.row(3);
    // A failover: the WAL goes on on timeline 2.
    world.cluster.stop();
    write_owned(&world.cluster.data().join("standby.signal"), "");
    world.cluster.start();
    world.cluster.promote();
    world.cluster.wait_streaming("pgmoneta");
    world.row(4);
    world.daemon.stop();
    world.daemon.set_env("TZ", EAST);
    configure(
        &world.daemon,
        "retention = 30",
        "retention = 30\nwal_retention = 1",
    );
    world.daemon.start();
    world.cluster.wait_streaming("pgmoneta");
    let c = world.daemon.backup("primary");
    world.row(5);
    assert!(c > b, "{c} {b}");
    check_window(&world, [&a, &b, &c]);
    check_schedule(&mut world, &a, &c);
}

/// With `wal_retention`, of which the backup `b` is the oldest with its WAL.
fn check_window(world: &World, [a, b, c]: [&str; 3]) {
    // Backups older than a day keep only their own WAL, but for the newest one of them.
    let before = [1, 2].map(|timeline| segments(&world.daemon, timeline));
    let output = world.retention(&["--dry-run"]);
    assert!(
        output.contains(&format!("{c}  keep      the newest valid backup")),
        "{output}"
    );
    assert_eq!(
        before,
        [1, 2].map(|timeline| segments(&world.daemon, timeline))
    );
    assert_eq!(world.daemon.listed("primary"), [a, b, c]);
    let output = world.retention(&[]);
    assert!(!output.contains("WAL files removed: 0"), "{output}");
    assert_eq!(world.daemon.listed("primary"), [a, b, c]);
    let left = segments(&world.daemon, 1);
    assert_eq!(
        left.first(),
        Some(&first_segment(&world.daemon, b)),
        "{left:?}"
    );
    assert_eq!(world.restored(a, Some("immediate"), "a"), "1");
    assert_eq!(world.restored(b, Some("current"), "b"), "5");
    world.daemon.cli(&["verify", "primary", a]).ok();
    let output = world
        .daemon
        .restore_output("primary", a, Some("current"), "refused");
    output.fails(1, "removed by retention");
    let refused = world.daemon.directory().join("refused");
    assert_eq!(
        fs::read_dir(refused).unwrap().count(),
        0,
        "nothing was written"
    );
    world.daemon.cli(&["status"]).ok();
}

/// By the schedule, and without the server.
fn check_schedule(world: &mut World, a: &str, c: &str) {
    world.daemon.stop();
    world.cluster.stop();
    configure(
        &world.daemon,
        "retention = 30\nwal_retention = 1",
        "retention = 1",
    );
    configure(
        &world.daemon,
        "retention_interval = 86400",
        "retention_interval = 1",
    );
    world.daemon.start();
    wait_until("the old backups are removed", 60, || {
        world.daemon.listed("primary") == [c] && segments(&world.daemon, 1).is_empty()
    });
    wait_until("WAL before the backup is removed", 60, || {
        let left = segments(&world.daemon, 2);
        left.first() == Some(&first_segment(&world.daemon, c))
    });
    assert!(
        world
            .daemon
            .log()
            .contains(&format!("removed the backup {a}"))
    );
    assert!(
        world
            .daemon
            .wal("primary")
            .join("00000002.history")
            .exists()
    );
    assert_eq!(world.restored(c, Some("immediate"), "c"), "4");
    assert_eq!(world.restored("newest", Some("current"), "now"), "5");
    // The server comes back, and WAL goes on without a gap.
    world.cluster.start();
    world.cluster.wait_streaming("pgmoneta");
    world.row(6);
    world.daemon.cli(&["status"]).ok();
    assert_eq!(world.restored("newest", Some("current"), "later"), "6");
}
