//! Recovery over a change of the timeline, and on the way that is asked for.

use super::after_recovery::{Rows, majors};
use super::story::{Story, label, last_row};
use crate::harness::{server, wait_until, write_owned};

/// Makes the cluster a standby of nobody and promotes it, as a failover to it would.
pub fn fail_over(story: &mut Story) {
    story.cluster.stop();
    write_owned(&story.cluster.data().join("standby.signal"), "");
    story.cluster.start();
    story.cluster.promote();
    story.cluster.wait_streaming("pgmoneta");
}

fn timeline(cluster: &crate::harness::Cluster) -> String {
    cluster.sql("CHECKPOINT");
    cluster.sql("SELECT timeline_id FROM pg_control_checkpoint()")
}

#[test]
fn recovery_follows_timelines_or_stays() {
    let mut story = Story::new(server().0, "compression = zstd");
    fail_over(&mut story);
    story.step(6);
    story.cluster.wait_received("pgmoneta");
    assert_eq!(timeline(&story.cluster), "2");

    let mut latest = story.restored("newest", "current");
    latest.wait_primary(60);
    assert_eq!(last_row(&latest), "6");
    assert_eq!(timeline(&latest), "3");
    latest.stop();
    let mut stays = story.restored("newest", "current,timeline=current");
    stays.wait_primary(60);
    assert_eq!(last_row(&stays), "5");
    // A number that no other server uses, although this one never saw timeline 2.
    assert_eq!(timeline(&stays), "3");
    stays.stop();
    let before = format!("xid={},timeline=1", story.of(4).xid);
    assert_eq!(story.reaches("newest", &before, "4"), story.b);
    let across = format!("xid={}", story.of(6).xid);
    assert_eq!(story.reaches(&story.a, &across, "6"), story.a);

    let c = story.daemon.backup("primary");
    story.step(7);
    story.cluster.wait_received("pgmoneta");
    assert_eq!(story.reaches("newest", "current", "7"), c);
    assert_eq!(
        story.reaches("newest", &format!("xid={}", story.of(5).xid), "5"),
        story.b
    );
    story
        .try_restore(&c, "current,timeline=1")
        .fails(1, "timeline 1 does not come from the backup");
    let old = story.restore("newest", &format!("lsn={},timeline=1", story.of(4).lsn));
    assert_eq!(label(&old), story.b);
}

/// The parent of the new timeline is the one on which the target lies, although a later one was followed: its history
/// does not say of the later one that it was left before it began.
#[test]
fn recovery_ends_on_the_timeline_of_its_target() {
    for major in majors() {
        let mut rows = Rows::new(major, "");
        rows.cluster.stop();
        write_owned(&rows.cluster.data().join("standby.signal"), "");
        rows.cluster.start();
        rows.cluster.promote();
        rows.cluster.wait_streaming("pgmoneta");
        let xid = rows
            .cluster
            .sql("INSERT INTO t VALUES (4) RETURNING txid_current()");
        rows.cluster.sql("INSERT INTO t VALUES (5)");
        rows.cluster.wait_received("pgmoneta");
        // The archive never saw timeline 3, but it was there before 4.
        let wal = rows.daemon.wal("primary");
        let history = std::fs::read(wal.join("00000002.history")).unwrap();
        write_owned(&wal.join("00000004.history"), &history);
        for (position, row, parents) in [
            ("immediate".to_owned(), "1", "1"),
            (format!("time={}", rows.time), "2", "1"),
            (format!("xid={xid}"), "4", "1 2"),
            ("current".to_owned(), "5", "1 2"),
        ] {
            let mut restored = rows.restore(&position);
            restored.start();
            restored.wait_primary(60);
            assert_eq!(last_row(&restored), row, "{major} {position}");
            assert_eq!(timeline(&restored), "5", "{major} {position}");
            let history = restored.data().join("pg_wal/00000005.history");
            let history = std::fs::read_to_string(history).unwrap();
            let found = history.lines().filter_map(|line| line.split('\t').next());
            let found: Vec<&str> = found.filter(|parent| !parent.is_empty()).collect();
            assert_eq!(found.join(" "), parents, "{major} {position}: {history}");
        }
    }
}

#[test]
fn a_gap_is_named_and_what_lies_before_it_can_be_reached() {
    let mut story = Story::new(server().0, "compression = none");
    let mut segments = Vec::new();
    for row in 6..10 {
        story.step(row);
        let name = "SELECT pg_walfile_name(pg_current_wal_lsn())";
        segments.push(story.cluster.sql(name));
        story.cluster.sql("SELECT pg_switch_wal()");
    }
    story.cluster.wait_received("pgmoneta");
    // The segment of row 7, once it is sealed.
    let missing = story.daemon.wal("primary").join(&segments[1]);
    wait_until("the segment is sealed", 30, || missing.exists());
    let kept = std::fs::read(&missing).unwrap();
    std::fs::remove_file(&missing).unwrap();
    story
        .try_restore("newest", "current")
        .fails(1, &format!("WAL segment {} is missing", segments[1]))
        .fails(1, "last position that can be reached");
    story
        .try_restore("newest", &format!("xid={}", story.of(8).xid))
        .fails(1, &segments[1]);
    let before = format!("lsn={}", story.of(6).lsn);
    assert_eq!(story.reaches("newest", &before, "6"), story.b);

    // A byte that went bad in the middle is no end of WAL.
    let mut bad = kept.clone();
    bad[80] ^= 1; // in its first record
    write_owned(&missing, &bad);
    story
        .try_restore("newest", "current")
        .fails(1, &segments[1])
        .fails(1, "damaged");
    write_owned(&missing, &kept);
    assert_eq!(story.reaches("newest", "current", "9"), story.b);
}

/// A change of a byte that was received but lies in the open segment must not pass for the end of WAL.
#[test]
fn damage_in_the_open_segment_is_not_the_end_of_wal() {
    let story = Story::new(server().0, "compression = none");
    story
        .cluster
        .sql("CREATE TABLE filler AS SELECT repeat('f', 900) AS f FROM generate_series(1, 500)");
    story.cluster.wait_received("pgmoneta");
    let lsn: pgmoneta::unit::Lsn = story.of(4).lsn.parse().unwrap();
    let name = story
        .cluster
        .sql(&format!("SELECT pg_walfile_name('{lsn}')"));
    let partial = story.daemon.wal("primary").join(format!("{name}.partial"));
    let mut bytes = std::fs::read(&partial).unwrap();
    let at = usize::try_from(lsn.0 % (16 << 20)).unwrap() - 20;
    bytes[at] ^= 0x40;
    // In place, since the receiver has the file open.
    let file = std::fs::File::options().write(true).open(&partial).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[at..=at], at as u64).unwrap();
    story
        .try_restore("newest", "current")
        .fails(1, "damaged")
        .fails(1, &name);
}
