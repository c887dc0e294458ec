//! Recovery reaches every kind of target, and targets that cannot be reached are refused before the
//! first write.

use postgres::types::PgLsn;

use super::scenario::{BETWEEN, LATER, Scenario, last_row, wait_paused};
use crate::harness::{Cluster, MAJORS, installed};

/// Tests the recovery settings on every version.
#[test]
fn every_kind_of_target_is_reached() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scenario = Scenario::new(major, "");
        let (a, b) = (scenario.a.as_str(), scenario.b.as_str());
        let xid = |row: usize| format!("xid={}", scenario.row(row).xid);
        assert_eq!(scenario.reaches("newest", "", "3"), b);
        assert_eq!(scenario.reaches(a, "immediate", "1"), a);
        assert_eq!(scenario.reaches("newest", "current", "5"), b);
        assert_eq!(scenario.reaches("newest", &xid(2), "2"), a);
        assert_eq!(
            scenario.reaches("newest", &format!("name={BETWEEN}"), "2"),
            a
        );
        assert_eq!(
            scenario.reaches("newest", &format!("time={}", scenario.row(4).time), "4"),
            b
        );
        assert_eq!(
            scenario.reaches("newest", &format!("lsn={}", scenario.row(4).lsn), "4"),
            b
        );
    }
}

#[test]
fn modifiers_select_timeline_and_inclusive() {
    let scenario = Scenario::new(crate::harness::server().0, "compression = lz4");
    let (a, b) = (scenario.a.as_str(), scenario.b.as_str());
    let step = |row: usize| scenario.row(row);
    let before = format!("xid={},inclusive=off", step(5).xid);
    assert_eq!(scenario.reaches("latest", &before, "4"), b);
    assert_eq!(
        scenario.reaches("newest", &format!("name={LATER},timeline=1"), "4"),
        b
    );
    assert_eq!(
        scenario.reaches(a, &format!("time={},timeline=current", step(4).time), "4"),
        a
    );
    assert_eq!(
        scenario.reaches("oldest", &format!("xid={}", step(4).xid), "4"),
        a
    );
    assert_eq!(
        scenario.reaches("newest", &format!("time={}", step(2).time), "2"),
        a
    );
    assert_eq!(
        scenario.reaches("newest", &format!("lsn={},inclusive=off", step(2).lsn), "2"),
        a
    );
    // At the end of the received WAL there is no record to stop at, but the position is a valid
    // target.
    let end = scenario.cluster.flush_lsn();
    assert_eq!(scenario.reaches("newest", &format!("lsn={end}"), "5"), b);
    assert_eq!(scenario.reaches(a, &format!("xid={}", step(3).xid), "3"), a);
}

/// Asserts that the server paused at the reported position and last transaction.
fn assert_paused_where_reported(paused: &Cluster) {
    let conf = std::fs::read_to_string(paused.data().join("postgresql.auto.conf")).unwrap();
    let reported = conf.lines().find(|line| line.starts_with("# Backup "));
    let reported = reported.unwrap();
    let last = "SELECT to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD \
        HH24:MI:SS.US')";
    let last: Option<String> = paused.query_value(last);
    let found = reported
        .split_once("last transaction ")
        .map_or("", |(_, at)| at);
    // PostgreSQL does not report a transaction that ends at a target LSN (recoveryStopsAfter, 18
    // xlogrecovery.c), as at the end of WAL.
    if !reported.contains("the end of the received WAL") {
        assert_eq!(
            found.trim_end_matches("+00:00"),
            last.unwrap_or_default(),
            "{reported}"
        );
    }
    let at: PgLsn = paused.query_value("SELECT pg_last_wal_replay_lsn()");
    assert!(
        reported.contains(&format!("position {at} of timeline 1")),
        "{reported} and {at}"
    );
}

#[test]
fn the_server_pauses_or_shuts_down_at_the_target() {
    let scenario = Scenario::new(crate::harness::server().0, "");
    let step = scenario.row(4);
    for (position, row) in [
        (format!("xid={},action=pause", step.xid), "4"),
        (format!("name={LATER},action=pause"), "4"),
        (format!("time={},action=pause", step.time), "4"),
        ("current,action=pause".to_owned(), "5"),
        ("immediate,action=pause".to_owned(), "3"),
    ] {
        let mut paused = scenario.restored("newest", &position);
        wait_paused(&paused);
        assert_paused_where_reported(&paused);
        assert_eq!(last_row(&paused), row, "{position}");
        assert!(paused.is_in_recovery());
        paused.stop();
    }
    let data = scenario.restore("newest", &format!("time={},action=shutdown", step.time));
    let mut server = Cluster::adopt(&scenario.scratch, scenario.cluster.major(), data);
    if server.try_start() {
        server.wait_ended(60);
    }
    assert!(server.log().contains("shutting down"), "{}", server.log());
    let mut server = server.with("recovery_target_action", "promote");
    server.start();
    server.wait_primary(60);
    assert_eq!(last_row(&server), "4");
}

fn refused(scenario: &Scenario, backup: &str, position: &str, texts: &[&str]) {
    let mut output = scenario.try_restore(backup, position);
    for text in texts {
        output = output.fails(1, text);
    }
}

#[test]
fn targets_after_the_end_of_wal_are_refused_with_the_range() {
    let scenario = Scenario::new(crate::harness::server().0, "compression = none");
    let a = scenario.a.as_str();
    let time = format!("time={}", scenario.row(5).time);
    for (position, texts) in [
        ("lsn=7F/0", ["7F/0 cannot be reached", "last transaction"]),
        (
            "time=2099-01-01 00:00:00+00",
            ["cannot be reached", "current"],
        ),
        (time.as_str(), ["cannot be reached", "current"]),
        ("xid=4000000000", ["4000000000 cannot be reached", a]),
    ] {
        let output = scenario.try_restore("newest", position);
        // The server writes WAL of its own meanwhile.
        let (least, most) = (scenario.row(5).lsn, scenario.cluster.flush_lsn());
        let end = range_end(&output.stderr);
        assert!(
            least <= end && end <= most,
            "{end} is not from {least} to {most}: {output}"
        );
        texts
            .iter()
            .fold(output, |output, text| output.fails(1, text));
    }
    refused(
        &scenario,
        "newest",
        "name=nowhere",
        &["nowhere", "cannot be reached", a],
    );
    let texts = ["timeline 7", "is not known", "00000007.history"];
    refused(&scenario, "newest", "current,timeline=7", &texts);
}

/// The last position of the range that a refusal names.
fn range_end(text: &str) -> PgLsn {
    let (_, range) = text.split_once(" can end from ").expect(text);
    let (_, end) = range.split_once(" to ").expect(text);
    end.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn targets_before_the_end_of_the_backup_are_refused_with_a_suitable_backup() {
    let scenario = Scenario::new(crate::harness::server().0, "");
    let fits = format!("use the backup {}", scenario.a);
    let step = scenario.row(2);
    for position in [
        format!("xid={}", step.xid),
        format!("time={}", step.time),
        format!("lsn={}", step.lsn),
        format!("name={BETWEEN}"),
    ] {
        refused(
            &scenario,
            &scenario.b,
            &position,
            &["before the end of the backup", &fits],
        );
    }
    for position in ["time=2001-01-01 00:00:00+00", "lsn=0/1000100"] {
        refused(
            &scenario,
            "newest",
            position,
            &["before the end", "no older backup"],
        );
    }
    for position in [
        "current,immediate",
        "lsn=x",
        "replica,primary",
        "recovery_target=immediate",
    ] {
        let output = scenario.try_restore("newest", position);
        assert!(output.status == 1 || output.status == 2, "{output}");
        assert!(
            output.stderr.contains("position") || output.stderr.contains("LSN"),
            "{output}"
        );
    }
}
