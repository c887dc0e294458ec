//! Every kind of position is really reached, and what cannot be reached is refused before one byte is written.

use super::story::{BETWEEN, LATER, Story, last_row, wait_paused};
use crate::harness::{Cluster, MAJORS, installed};

/// Targets with PostgreSQL's way of saying them, on every version: the settings must be right for each.
#[test]
fn every_kind_of_target_is_reached() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let story = Story::new(major, "");
        let (a, b) = (story.a.as_str(), story.b.as_str());
        let xid = |row: usize| format!("xid={}", story.of(row).xid);
        assert_eq!(story.reaches("newest", "", "3"), b);
        assert_eq!(story.reaches(a, "immediate", "1"), a);
        assert_eq!(story.reaches("newest", "current", "5"), b);
        assert_eq!(story.reaches("newest", &xid(2), "2"), a);
        assert_eq!(story.reaches("newest", &format!("name={BETWEEN}"), "2"), a);
        assert_eq!(
            story.reaches("newest", &format!("time={}", story.of(4).time), "4"),
            b
        );
        assert_eq!(
            story.reaches("newest", &format!("lsn={}", story.of(4).lsn), "4"),
            b
        );
    }
}

#[test]
fn modifiers_do_what_they_say() {
    let story = Story::new(crate::harness::server().0, "compression = lz4");
    let (a, b) = (story.a.as_str(), story.b.as_str());
    let step = |row: usize| story.of(row);
    let before = format!("xid={},inclusive=off", step(5).xid);
    assert_eq!(story.reaches("latest", &before, "4"), b);
    assert_eq!(
        story.reaches("newest", &format!("name={LATER},timeline=1"), "4"),
        b
    );
    assert_eq!(
        story.reaches(a, &format!("time={},timeline=current", step(4).time), "4"),
        a
    );
    assert_eq!(
        story.reaches("oldest", &format!("xid={}", step(4).xid), "4"),
        a
    );
    assert_eq!(
        story.reaches("newest", &format!("time={}", step(2).time), "2"),
        a
    );
    assert_eq!(
        story.reaches("newest", &format!("lsn={},inclusive=off", step(2).lsn), "2"),
        a
    );
    // The end of what was received is no record that PostgreSQL could stop at, but it is a position.
    let end = story.cluster.sql("SELECT pg_current_wal_flush_lsn()");
    assert_eq!(story.reaches("newest", &format!("lsn={end}"), "5"), b);
    assert_eq!(story.reaches(a, &format!("xid={}", step(3).xid), "3"), a);
}

/// The position and the last transaction that were told are those at which the server rests.
fn assert_is_where_told(paused: &Cluster) {
    let conf = std::fs::read_to_string(paused.data().join("postgresql.auto.conf")).unwrap();
    let told = conf.lines().find(|line| line.starts_with("# Backup "));
    let told = told.unwrap();
    let last = "SELECT to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')";
    let last = paused.sql(last);
    let found = told
        .split_once("last transaction ")
        .map_or("", |(_, at)| at);
    // PostgreSQL leaves out a transaction that ends at a target LSN (recoveryStopsAfter, 18 xlogrecovery.c), which it may
    // do at the end of WAL.
    if !told.contains("the end of what was received") {
        assert_eq!(found.trim_end_matches("+00:00"), last, "{told}");
    }
    let at = paused.sql("SELECT pg_last_wal_replay_lsn()");
    assert!(
        told.contains(&format!("position {at} of timeline 1")),
        "{told} and {at}"
    );
}

#[test]
fn the_server_pauses_or_shuts_down_at_the_target() {
    let story = Story::new(crate::harness::server().0, "");
    let step = story.of(4);
    for (position, row) in [
        (format!("xid={},action=pause", step.xid), "4"),
        (format!("name={LATER},action=pause"), "4"),
        (format!("time={},action=pause", step.time), "4"),
        ("current,action=pause".to_owned(), "5"),
        ("immediate,action=pause".to_owned(), "3"),
    ] {
        let mut paused = story.restored("newest", &position);
        wait_paused(&paused);
        assert_is_where_told(&paused);
        assert_eq!(last_row(&paused), row, "{position}");
        assert_eq!(paused.sql("SELECT pg_is_in_recovery()"), "t");
        paused.stop();
    }
    let data = story.restore("newest", &format!("time={},action=shutdown", step.time));
    let mut server = Cluster::adopt(&story.scratch, story.cluster.major(), data);
    if server.try_start() {
        server.wait_ended(60);
    }
    assert!(server.log().contains("shutting down"), "{}", server.log());
    let mut server = server.with("recovery_target_action", "promote");
    server.start();
    server.wait_primary(60);
    assert_eq!(last_row(&server), "4");
}

fn refused(story: &Story, backup: &str, position: &str, texts: &[&str]) {
    let mut output = story.try_restore(backup, position);
    for text in texts {
        output = output.fails(1, text);
    }
}

#[test]
fn what_lies_behind_the_end_of_wal_is_refused_and_what_does_not_is_said() {
    let story = Story::new(crate::harness::server().0, "compression = none");
    let a = story.a.as_str();
    let end = story.cluster.sql("SELECT pg_current_wal_flush_lsn()");
    let time = format!("time={}", story.of(5).time);
    for (position, texts) in [
        (
            "lsn=7F/0",
            ["7F/0 cannot be reached", &end, "last transaction"],
        ),
        (
            "time=2099-01-01 00:00:00+00",
            ["cannot be reached", &end, "current"],
        ),
        (time.as_str(), ["cannot be reached", &end, "current"]),
        ("xid=4000000000", ["4000000000 cannot be reached", &end, a]),
        ("name=nowhere", ["nowhere", "cannot be reached", a]),
        (
            "current,timeline=7",
            ["timeline 7", "is not known", "00000007.history"],
        ),
    ] {
        refused(&story, "newest", position, &texts);
    }
}

#[test]
fn what_lies_before_the_end_of_the_backup_is_refused_and_the_backup_that_fits_is_said() {
    let story = Story::new(crate::harness::server().0, "");
    let fits = format!("the backup {} fits", story.a);
    let step = story.of(2);
    for position in [
        format!("xid={}", step.xid),
        format!("time={}", step.time),
        format!("lsn={}", step.lsn),
        format!("name={BETWEEN}"),
    ] {
        refused(
            &story,
            &story.b,
            &position,
            &["before the end of the backup", &fits],
        );
    }
    for position in ["time=2001-01-01 00:00:00+00", "lsn=0/1000100"] {
        refused(
            &story,
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
        let output = story.try_restore("newest", position);
        assert!(output.status == 1 || output.status == 2, "{output}");
        assert!(
            output.stderr.contains("position") || output.stderr.contains("LSN"),
            "{output}"
        );
    }
}
