//! Timeline switches in the middle of a segment: of the files that begin with the same WAL, the one
//! that can be read furthest is restored.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use pgmoneta::unit::{Lsn, Segment, SegmentSize, Timeline};

use super::scenario::{Scenario, label, last_row};
use super::timelines::fail_over;
use crate::harness::{Cluster, installed, server};

/// Rows 1 to 7 on timeline 1, then a failover, row 8 on timeline 2, then the server is stopped.
struct BranchedScenario {
    scenario: Scenario,
    /// The end of WAL after row 6.
    six: Lsn,
    /// The switch point to timeline 2.
    switch: Lsn,
    /// The partial segments of timelines 1 and 2 that contain the switch point.
    files: [PathBuf; 2],
}

impl BranchedScenario {
    fn new(major: u32) -> BranchedScenario {
        let mut scenario = Scenario::new(major, "compression = none");
        scenario.step(6);
        let six = Lsn(scenario.row(6).lsn.into());
        let fill = "CREATE TABLE filler AS SELECT repeat('f', 900) FROM generate_series(1, 300)";
        scenario.cluster.execute(fill);
        scenario.step(7);
        fail_over(&mut scenario);
        scenario.step(8);
        scenario.cluster.wait_received("pgmoneta");
        let wal = scenario.daemon.wal("primary");
        let history = std::fs::read_to_string(wal.join("00000002.history")).unwrap();
        let switch: Lsn = history.split('\t').nth(1).unwrap().parse().unwrap();
        // The daemon goes first, so that nothing is received any more.
        scenario.daemon.stop();
        scenario.cluster.stop();
        let files = [1, 2].map(|timeline| {
            let timeline = Timeline::new(timeline).unwrap();
            let size = SegmentSize::DEFAULT;
            let name = Segment::containing(timeline, switch, size).name(size);
            wal.join(format!("{name}.partial"))
        });
        assert!(
            six.0 / (16 << 20) == switch.0 / (16 << 20),
            "{six} and {switch} are not in one segment"
        );
        scenario.daemon.start();
        BranchedScenario {
            scenario,
            six,
            switch,
            files,
        }
    }

    /// Restores to a target, and asserts that `row` is the last row.
    fn reaches(&self, position: &str, row: &str) {
        let mut restored = self.scenario.restored("newest", position);
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), row, "{position}");
        restored.execute("INSERT INTO t VALUES (100)");
        restored.stop();
    }
}

/// Changes a segment as if it was received up to `end` only.
fn truncate_received(path: &PathBuf, end: Lsn) {
    let file = File::options().write(true).open(path).unwrap();
    let from = SegmentSize::DEFAULT.offset(end);
    let zeros = vec![0; usize::try_from(SegmentSize::DEFAULT.bytes() - from).unwrap()];
    file.write_all_at(&zeros, from).unwrap();
}

#[test]
fn wal_before_a_switch_point_is_restored_if_the_next_timeline_was_received_in_part() {
    for major in [13, 15, 18] {
        if installed(major).is_none() {
            continue;
        }
        let branched = BranchedScenario::new(major);
        branched.reaches("current", "8");
        // Only the first bytes of timeline 2 were received.
        truncate_received(&branched.files[1], branched.six);
        branched.reaches("current", "7");
        branched.reaches("current,timeline=2", "7");
    }
}

#[test]
fn a_timeline_without_wal_is_not_the_latest() {
    let branched = BranchedScenario::new(server().0);
    let [old, new] = &branched.files;
    let (kept_old, kept_new) = (std::fs::read(old).unwrap(), std::fs::read(new).unwrap());
    // Everything up to the switch point was received, and nothing after it.
    truncate_received(new, branched.switch);
    branched.reaches("current,timeline=latest", "7");
    // Only the history file was received.
    std::fs::remove_file(new).unwrap();
    branched.reaches("current", "7");
    branched.reaches("current,timeline=2", "7");
    let seven = format!("xid={},timeline=2", branched.scenario.row(7).xid);
    branched.reaches(&seven, "7");
    branched
        .scenario
        .try_restore("newest", &format!("xid={}", branched.scenario.row(8).xid))
        .fails(1, "cannot be reached");
    // The segment of timeline 1 is missing, that of timeline 2 contains all of it.
    crate::harness::write_owned(new, &kept_new);
    std::fs::remove_file(old).unwrap();
    branched.reaches("current", "8");
    branched.reaches(&format!("xid={}", branched.scenario.row(7).xid), "7");
    // Timeline 2 is damaged before the switch point: only WAL before the damage can be restored.
    crate::harness::write_owned(old, &kept_old);
    let mut bad = kept_new;
    let at = usize::try_from(SegmentSize::DEFAULT.offset(branched.six)).unwrap();
    bad[at + 40] ^= 0x40;
    crate::harness::write_owned(new, &bad);
    branched
        .scenario
        .try_restore("newest", "current")
        .fails(1, "damaged");
    branched.reaches(&format!("xid={}", branched.scenario.row(7).xid), "7");
}

/// The server was recovered to a time before its newest backup, so that this backup and the WAL
/// after it were discarded.
#[test]
fn the_newest_backup_is_on_the_branch_of_the_server() {
    let mut scenario = Scenario::new(server().0, "compression = none");
    let two = scenario.row(2).xid;
    let recovered = scenario.restore("newest", &format!("xid={two}"));
    assert_eq!(label(&recovered), scenario.a);
    let recovered = Cluster::adopt(&scenario.scratch, scenario.cluster.major(), recovered);
    let old = replace_primary(&mut scenario, recovered);
    scenario.step(6);
    scenario.cluster.wait_received("pgmoneta");

    let newer = format!("the backup {} is newer, but on another branch", scenario.b);
    for (position, row) in [
        ("current", "6"),
        ("immediate", "1"),
        ("current,timeline=latest", "6"),
    ] {
        assert_eq!(scenario.reaches("newest", position, row), scenario.a);
        let output = scenario.try_restore("newest", position).ok();
        assert!(output.stdout.contains(&newer), "{position}: {output}");
    }
    // It can be chosen by its label, or by its timeline.
    assert_eq!(
        scenario.reaches("newest", "current,timeline=1", "5"),
        scenario.b
    );
    let named = scenario.try_restore(&scenario.b, "current").ok();
    let branch = format!(
        "timeline 2 does not descend from the backup {}: recovery ends on another branch, on \
         timeline 1",
        scenario.b
    );
    assert!(named.stdout.contains(&branch), "{named}");

    // The original server is started again.
    let c = scenario.daemon.backup("primary");
    scenario.restore_point("second");
    replace_primary(&mut scenario, old);
    scenario.step(7);
    scenario.cluster.wait_received("pgmoneta");
    assert_eq!(scenario.reaches("newest", "current", "7"), scenario.b);
    assert_eq!(scenario.reaches("newest", "current,timeline=2", "6"), c);
    assert_eq!(
        scenario.reaches("newest", "current,timeline=latest", "6"),
        c
    );
    let stays = "current,timeline=current";
    assert_eq!(scenario.reaches("newest", stays, "7"), scenario.b);
    scenario
        .try_restore("newest", "name=second")
        .fails(1, "cannot be reached")
        .fails(1, "WAL of other timelines, up to 2");

    assert_third_timeline(&mut scenario, &c);
}

/// Timeline 3 descends from 1: a standby of it skips timeline 2. `other` is a backup on timeline 2.
fn assert_third_timeline(scenario: &mut Scenario, other: &str) {
    let seven = format!("xid={}", scenario.row(7).xid);
    let recovered = scenario.restore("newest", &seven);
    let recovered = Cluster::adopt(&scenario.scratch, scenario.cluster.major(), recovered);
    replace_primary(scenario, recovered);
    scenario.step(8);
    scenario.cluster.wait_received("pgmoneta");
    scenario.cluster.stop();
    let standby = scenario.restored("newest", "replica");
    standby.wait_true("SELECT max(n) = 8 FROM t", 60);
    for position in ["replica", "replica,timeline=latest"] {
        scenario
            .try_restore(other, position)
            .fails(1, "cannot follow the server")
            .fails(1, "timeline 3");
    }
    let output = scenario.try_restore(other, "replica,timeline=2").ok();
    assert!(
        output.stdout.contains("cannot follow the server"),
        "{output}"
    );
    scenario.try_restore(other, "immediate,replica").ok();

    // Of timeline 3 only the history file was received.
    for entry in std::fs::read_dir(scenario.daemon.wal("primary")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("00000003") && !name.ends_with("history") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let output = scenario.try_restore("newest", "current").ok();
    assert!(
        output.stdout.contains("the server left timeline 1 at"),
        "{output}"
    );
    assert!(
        output.stdout.contains(",inclusive=off would end"),
        "{output}"
    );
}

/// Replaces the running cluster, which is stopped when all its WAL is received. Returns the old
/// one.
fn replace_primary(scenario: &mut Scenario, cluster: Cluster) -> Cluster {
    scenario.cluster.wait_received("pgmoneta");
    scenario.cluster.stop();
    let cluster = cluster.in_place_of(&scenario.cluster);
    let old = std::mem::replace(&mut scenario.cluster, cluster);
    // The delay between connection attempts grows, so the daemon is restarted.
    scenario.daemon.stop();
    scenario.cluster.start();
    scenario.cluster.wait_primary(60);
    scenario.daemon.start();
    scenario.cluster.wait_streaming("pgmoneta");
    old
}
