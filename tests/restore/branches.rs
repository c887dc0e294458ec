//! Where timelines part in the middle of a segment: of the files that begin with the same bytes, whichever reaches
//! further is restored.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use pgmoneta::unit::{Lsn, Segment, SegmentSize, Timeline};

use super::story::{Story, label, last_row};
use super::timelines::fail_over;
use crate::harness::{Cluster, installed, server};

/// What happened: rows 1 to 6 and 7 on timeline 1, then a fail-over, row 8 on timeline 2, and the server is lost.
struct Branched {
    story: Story,
    /// Behind row 6.
    six: Lsn,
    /// Where timeline 2 begins.
    switch: Lsn,
    /// The partial segments of the timelines 1 and 2 that hold the switch.
    files: [PathBuf; 2],
}

impl Branched {
    fn new(major: u32) -> Branched {
        let mut story = Story::new(major, "compression = none");
        story.step(6);
        let six: Lsn = story.of(6).lsn.parse().unwrap();
        let fill = "CREATE TABLE filler AS SELECT repeat('f', 900) FROM generate_series(1, 300)";
        story.cluster.sql(fill);
        story.step(7);
        fail_over(&mut story);
        story.step(8);
        story.cluster.wait_received("pgmoneta");
        let wal = story.daemon.wal("primary");
        let history = std::fs::read_to_string(wal.join("00000002.history")).unwrap();
        let switch: Lsn = history.split('\t').nth(1).unwrap().parse().unwrap();
        // The daemon goes first, so that nothing is received any more.
        story.daemon.stop();
        story.cluster.stop();
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
        story.daemon.start();
        Branched {
            story,
            six,
            switch,
            files,
        }
    }

    /// Restores to a position, and compares the last row with the one that it must have.
    fn reaches(&self, position: &str, row: &str) {
        let mut restored = self.story.restored("newest", position);
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), row, "{position}");
        restored.sql("INSERT INTO t VALUES (100)");
        restored.stop();
    }
}

/// Makes a segment one that was received up to `end` only.
fn cut(path: &PathBuf, end: Lsn) {
    let file = File::options().write(true).open(path).unwrap();
    let from = SegmentSize::DEFAULT.offset(end);
    let zeros = vec![0; usize::try_from(SegmentSize::DEFAULT.bytes() - from).unwrap()];
    file.write_all_at(&zeros, from).unwrap();
}

#[test]
fn nothing_below_a_switch_is_lost_where_the_next_timeline_was_received_in_part() {
    for major in [13, 15, 18] {
        if installed(major).is_none() {
            continue;
        }
        let branched = Branched::new(major);
        branched.reaches("current", "8");
        // The first bytes of timeline 2 came, then the new primary was lost.
        cut(&branched.files[1], branched.six);
        branched.reaches("current", "7");
        branched.reaches("current,timeline=2", "7");
    }
}

#[test]
fn a_timeline_without_wal_of_its_own_is_not_the_latest() {
    let branched = Branched::new(server().0);
    let [old, new] = &branched.files;
    let (kept_old, kept_new) = (std::fs::read(old).unwrap(), std::fs::read(new).unwrap());
    // Everything up to the switch came, and nothing behind it.
    cut(new, branched.switch);
    branched.reaches("current,timeline=latest", "7");
    // The history came, and nothing else.
    std::fs::remove_file(new).unwrap();
    branched.reaches("current", "7");
    branched.reaches("current,timeline=2", "7");
    let seven = format!("xid={},timeline=2", branched.story.of(7).xid);
    branched.reaches(&seven, "7");
    branched
        .story
        .try_restore("newest", &format!("xid={}", branched.story.of(8).xid))
        .fails(1, "cannot be reached");
    // The file of timeline 1 is lost, that of timeline 2 has all of it.
    crate::harness::write_owned(new, &kept_new);
    std::fs::remove_file(old).unwrap();
    branched.reaches("current", "8");
    branched.reaches(&format!("xid={}", branched.story.of(7).xid), "7");
    // Timeline 2 is damaged below the switch: what lies behind that is not there, and what lies before it is.
    crate::harness::write_owned(old, &kept_old);
    let mut bad = kept_new;
    let at = usize::try_from(SegmentSize::DEFAULT.offset(branched.six)).unwrap();
    bad[at + 40] ^= 0x40;
    crate::harness::write_owned(new, &bad);
    branched
        .story
        .try_restore("newest", "current")
        .fails(1, "damaged");
    branched.reaches(&format!("xid={}", branched.story.of(7).xid), "7");
}

/// The server was recovered to a moment before its newest backup, and goes on from there: what that backup and the WAL
/// behind it have was given up.
#[test]
fn the_newest_backup_is_one_of_the_branch_that_the_server_is_on() {
    let mut story = Story::new(server().0, "compression = none");
    let two = story.of(2).xid.clone();
    let recovered = story.restore("newest", &format!("xid={two}"));
    assert_eq!(label(&recovered), story.a);
    let recovered = Cluster::adopt(&story.scratch, story.cluster.major(), recovered);
    let old = take_over(&mut story, recovered);
    story.step(6);
    story.cluster.wait_received("pgmoneta");

    let newer = format!("the backup {} is newer, but of another branch", story.b);
    for (position, row) in [
        ("current", "6"),
        ("immediate", "1"),
        ("current,timeline=latest", "6"),
    ] {
        assert_eq!(story.reaches("newest", position, row), story.a);
        let told = story.try_restore("newest", position).ok();
        assert!(told.stdout.contains(&newer), "{position}: {told}");
    }
    // Whoever wants it names it, or its timeline.
    assert_eq!(story.reaches("newest", "current,timeline=1", "5"), story.b);
    let named = story.try_restore(&story.b, "current").ok();
    let branch =
        "does not lie on the way to timeline 2: recovery ends on another branch, on timeline 1";
    assert!(named.stdout.contains(branch), "{named}");

    // It was better before: the old server goes on.
    let c = story.daemon.backup("primary");
    story.point("second");
    take_over(&mut story, old);
    story.step(7);
    story.cluster.wait_received("pgmoneta");
    assert_eq!(story.reaches("newest", "current", "7"), story.b);
    assert_eq!(story.reaches("newest", "current,timeline=2", "6"), c);
    assert_eq!(story.reaches("newest", "current,timeline=latest", "6"), c);
    let stays = "current,timeline=current";
    assert_eq!(story.reaches("newest", stays, "7"), story.b);
    story
        .try_restore("newest", "name=second")
        .fails(1, "cannot be reached")
        .fails(1, "WAL of other timelines, up to 2");

    a_third_timeline(&mut story, &c);
}

/// Timeline 3 comes from 1: a standby of it finds its way over the number that it does not pass. `other` is a backup on
/// timeline 2.
fn a_third_timeline(story: &mut Story, other: &str) {
    let seven = format!("xid={}", story.of(7).xid);
    let recovered = story.restore("newest", &seven);
    let recovered = Cluster::adopt(&story.scratch, story.cluster.major(), recovered);
    take_over(story, recovered);
    story.step(8);
    story.cluster.wait_received("pgmoneta");
    story.cluster.stop();
    let standby = story.restored("newest", "replica");
    standby.wait_sql("SELECT max(n) FROM t", "8", 60);
    for position in ["replica", "replica,timeline=latest"] {
        story
            .try_restore(other, position)
            .fails(1, "cannot follow the server")
            .fails(1, "timeline 3");
    }
    let told = story.try_restore(other, "replica,timeline=2").ok();
    assert!(told.stdout.contains("cannot follow the server"), "{told}");
    story.try_restore(other, "immediate,replica").ok();

    // Of timeline 3 nothing but the history came.
    for entry in std::fs::read_dir(story.daemon.wal("primary")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("00000003") && !name.ends_with("history") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let told = story.try_restore("newest", "current").ok();
    assert!(
        told.stdout.contains("the server left timeline 1 at"),
        "{told}"
    );
    assert!(told.stdout.contains(",inclusive=off would end"), "{told}");
}

/// Puts a cluster in the place of the live one, which is stopped when all of it is received.
fn take_over(story: &mut Story, cluster: Cluster) -> Cluster {
    story.cluster.wait_received("pgmoneta");
    story.cluster.stop();
    let cluster = cluster.in_place_of(&story.cluster);
    let old = std::mem::replace(&mut story.cluster, cluster);
    // It tries again after a while that grows with each try.
    story.daemon.stop();
    story.cluster.start();
    story.cluster.wait_primary(60);
    story.daemon.start();
    story.cluster.wait_streaming("pgmoneta");
    old
}
