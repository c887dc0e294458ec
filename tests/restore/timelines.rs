//! Recovery across timeline switches, and on the specified timeline.

use super::after_recovery::{Rows, majors};
use super::scenario::{Scenario, label, last_row};
use crate::harness::{server, wait_until, write_owned};

/// Restarts the cluster as a standby and promotes it, like a failover to it.
pub fn fail_over(scenario: &mut Scenario) {
    scenario.cluster.stop();
    write_owned(&scenario.cluster.data().join("standby.signal"), "");
    scenario.cluster.start();
    scenario.cluster.promote();
    scenario.cluster.wait_streaming("pgmoneta");
}

fn timeline(cluster: &crate::harness::Cluster) -> i32 {
    cluster.execute("CHECKPOINT");
    cluster.query_value("SELECT timeline_id FROM pg_control_checkpoint()")
}

#[test]
fn recovery_follows_timelines_or_stays_on_the_specified_one() {
    let mut scenario = Scenario::new(server().0, "compression = zstd");
    fail_over(&mut scenario);
    scenario.step(6);
    scenario.cluster.wait_received("pgmoneta");
    assert_eq!(timeline(&scenario.cluster), 2);

    let mut latest = scenario.restored("newest", "current");
    latest.wait_primary(60);
    assert_eq!(last_row(&latest), "6");
    assert_eq!(timeline(&latest), 3);
    latest.stop();
    let mut stays = scenario.restored("newest", "current,timeline=current");
    stays.wait_primary(60);
    assert_eq!(last_row(&stays), "5");
    // A number that no other server uses, although this server was never on timeline 2.
    assert_eq!(timeline(&stays), 3);
    stays.stop();
    let before = format!("xid={},timeline=1", scenario.row(4).xid);
    assert_eq!(scenario.reaches("newest", &before, "4"), scenario.b);
    let across = format!("xid={}", scenario.row(6).xid);
    assert_eq!(scenario.reaches(&scenario.a, &across, "6"), scenario.a);

    let c = scenario.daemon.backup("primary");
    scenario.step(7);
    scenario.cluster.wait_received("pgmoneta");
    assert_eq!(scenario.reaches("newest", "current", "7"), c);
    assert_eq!(
        scenario.reaches("newest", &format!("xid={}", scenario.row(5).xid), "5"),
        scenario.b
    );
    scenario
        .try_restore(&c, "current,timeline=1")
        .fails(1, "timeline 1 does not descend from the backup");
    let old = scenario.restore("newest", &format!("lsn={},timeline=1", scenario.row(4).lsn));
    assert_eq!(label(&old), scenario.b);
}

/// The parent of the new timeline is the timeline of the target, although the archive follows a
/// later one: its history contains no switch point that decreases.
#[test]
fn recovery_ends_on_the_timeline_of_its_target() {
    for major in majors() {
        let mut rows = Rows::new(major, "");
        rows.cluster.stop();
        write_owned(&rows.cluster.data().join("standby.signal"), "");
        rows.cluster.start();
        rows.cluster.promote();
        rows.cluster.wait_streaming("pgmoneta");
        let xid: i64 = rows
            .cluster
            .query_value("INSERT INTO t VALUES (4) RETURNING txid_current()");
        rows.cluster.execute("INSERT INTO t VALUES (5)");
        rows.cluster.wait_received("pgmoneta");
        // Timeline 3 was never archived, but its number is in use, since it is below 4.
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
            assert_eq!(timeline(&restored), 5, "{major} {position}");
            let history = restored.data().join("pg_wal/00000005.history");
            let history = std::fs::read_to_string(history).unwrap();
            let found = history.lines().filter_map(|line| line.split('\t').next());
            let found: Vec<&str> = found.filter(|parent| !parent.is_empty()).collect();
            assert_eq!(found.join(" "), parents, "{major} {position}: {history}");
        }
    }
}

#[test]
fn a_gap_is_reported_and_wal_before_it_can_be_restored() {
    let mut scenario = Scenario::new(server().0, "compression = none");
    let mut segments = Vec::new();
    for row in 6..10 {
        scenario.step(row);
        let name = "SELECT pg_walfile_name(pg_current_wal_lsn())";
        segments.push(scenario.cluster.query_value::<String>(name));
        scenario.cluster.execute("SELECT pg_switch_wal()");
    }
    scenario.cluster.wait_received("pgmoneta");
    // The segment of row 7, once it is sealed.
    let missing = scenario.daemon.wal("primary").join(&segments[1]);
    wait_until("the segment is sealed", 30, || missing.exists());
    let kept = std::fs::read(&missing).unwrap();
    std::fs::remove_file(&missing).unwrap();
    scenario
        .try_restore("newest", "current")
        .fails(1, &format!("WAL segment {} is missing", segments[1]))
        .fails(1, "last position that can be reached");
    scenario
        .try_restore("newest", &format!("xid={}", scenario.row(8).xid))
        .fails(1, &segments[1]);
    let before = format!("lsn={}", scenario.row(6).lsn);
    assert_eq!(scenario.reaches("newest", &before, "6"), scenario.b);

    // A damaged byte is not the end of WAL.
    let mut bad = kept.clone();
    bad[80] ^= 1; // in its first record
    write_owned(&missing, &bad);
    scenario
        .try_restore("newest", "current")
        .fails(1, &segments[1])
        .fails(1, "damaged");
    write_owned(&missing, &kept);
    assert_eq!(scenario.reaches("newest", "current", "9"), scenario.b);
}

/// A damaged byte in the open segment must not be taken for the end of WAL.
#[test]
fn damage_in_the_open_segment_is_not_the_end_of_wal() {
    let scenario = Scenario::new(server().0, "compression = none");
    scenario.cluster.execute(
        "CREATE TABLE filler AS SELECT repeat('f', 900) AS f FROM generate_series(1, 500)",
    );
    scenario.cluster.wait_received("pgmoneta");
    let lsn = scenario.row(4).lsn;
    let name: String = scenario
        .cluster
        .query_value(&format!("SELECT pg_walfile_name('{lsn}')"));
    let partial = scenario
        .daemon
        .wal("primary")
        .join(format!("{name}.partial"));
    let mut bytes = std::fs::read(&partial).unwrap();
    let at = usize::try_from(u64::from(lsn) % (16 << 20)).unwrap() - 20;
    bytes[at] ^= 0x40;
    // In place, since the receiver has the file open.
    let file = std::fs::File::options().write(true).open(&partial).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[at..=at], at as u64).unwrap();
    scenario
        .try_restore("newest", "current")
        .fails(1, "damaged")
        .fails(1, &name);
}
