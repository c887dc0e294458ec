//! What makes a server unsafe, as a table.

use std::time::{Duration, Instant};

use super::*;
use crate::error::{Error, ErrorKind};
use crate::status::{Phase, ReceiverState};
use crate::unit::{Lsn, Timestamp};

const NOW: i64 = 1_000_000;

fn now(instant: Instant) -> Moment {
    Moment {
        instant,
        time: Timestamp::from_seconds(NOW),
    }
}

/// A server that is safe at that instant: an idle one, with a backup an hour old.
fn safe(instant: Instant) -> Facts {
    let mut receiver = ReceiverState {
        phase: Phase::Streaming,
        flushed: Lsn(1 << 30),
        ..ReceiverState::default()
    };
    receiver.heard(Lsn(1 << 30), instant);
    Facts {
        server: "primary".parse().unwrap(),
        receiver,
        receiver_timeout: Duration::from_secs(60),
        newest_backup: Some(Timestamp::from_seconds(NOW - 3600)),
        backups: 2,
        room: Room {
            free: 10 << 30,
            total: 100 << 30,
            days_left: Some(30),
            exhausted: None,
        },
        ..Facts::default()
    }
}

fn error() -> String {
    let error = Error::new(ErrorKind::Network, "refused");
    error.with_hint("see the port").message_with_hint()
}

type Change = fn(&mut Facts, Instant);

const SLOT: Change = |facts, _| facts.slot_status = Some("reserved".to_owned());

fn damaged(unreadable: bool) -> DamagedBackup {
    DamagedBackup {
        label: "20260101000000".parse().unwrap(),
        why: "the backup is bad".to_owned(),
        unreadable,
    }
}

fn aged(facts: &mut Facts, hours: i64) {
    facts.newest_backup = Some(Timestamp::from_seconds(NOW - hours * 3600));
}

/// WAL up to `behind` bytes before the end of the server is durable, since `seconds`.
fn behind(facts: &mut Facts, instant: Instant, behind: u64, seconds: u64) {
    let then = instant - Duration::from_secs(seconds);
    facts.receiver.covered_at = Some(then);
    facts.receiver.heard(Lsn((1 << 30) + behind), instant);
}

#[rustfmt::skip] // One row per line.
const ROWS: &[(Change, Option<Severity>, &str, &str)] = &[
    (|_, _| {}, None, "", ""),
    (SLOT, None, "", ""),
    // By the clock of the server it is in the future.
    (|facts, _| aged(facts, -1), None, "", ""),
    (|facts, _| facts.room.days_left = None, None, "", ""),
    (|facts, _| facts.room = Room::default(), None, "", ""),
    (|facts, _| facts.receiver.phase = Phase::Starting, Some(Severity::Warning), "no WAL is received yet", "wait"),
    (|facts, _| facts.receiver.phase = Phase::Reconnecting("gone".to_owned()), Some(Severity::Critical), "no WAL is received: gone", "by itself"),
    (|facts, _| facts.receiver.phase = Phase::Reconnecting(error()), Some(Severity::Critical), "no WAL is received: refused", "see the port"),
    (|facts, _| facts.receiver.phase = Phase::Alarm("another cluster".to_owned()), Some(Severity::Critical), "no WAL is received: another cluster", "log"),
    (|facts, _| facts.receiver.phase = Phase::Stopped, Some(Severity::Critical), "the WAL receiver has stopped", "log"),
    (|facts, now| facts.receiver.last_message_at = Some(now - Duration::from_secs(121)), Some(Severity::Critical), "nothing was received for 121 s", "network"),
    (|facts, _| facts.receiver.gaps = vec!["segments are missing".to_owned()], Some(Severity::Critical), "segments are missing", "pgmoneta-cli backup primary"),
    (|facts, now| facts.receiver.segments_grow_since = Some(now), Some(Severity::Critical), "the disk has no room for a whole WAL segment", "make room"),
    (|facts, _| facts.receiver.seal_error = Some("EIO".to_owned()), Some(Severity::Warning), "WAL segments cannot be sealed: EIO", "disk"),
    (|facts, _| facts.receiver.covered_at = None, Some(Severity::Warning), "it is not known yet how much would be lost", "wait"),
    (|facts, _| facts.slot_status = Some("unreserved".to_owned()), Some(Severity::Critical), "the replication slot is about to be lost", "max_slot_wal_keep_size"),
    (|facts, _| facts.slot_status = Some("lost".to_owned()), Some(Severity::Critical), "the replication slot is lost", "full backup"),
    (|facts, _| facts.newest_backup = None, Some(Severity::Critical), "there is no valid backup", "pgmoneta-cli backup primary"),
    (|facts, _| aged(facts, 26), None, "", ""),
    (|facts, _| aged(facts, 27), Some(Severity::Warning), "the newest valid backup is 1 d 3 h old, more than 1 d 2 h", "pgmoneta-cli backup primary"),
    (|facts, _| aged(facts, 51), Some(Severity::Critical), "the newest valid backup is 2 d 3 h old, more than 2 d 2 h", "pgmoneta-cli backup primary"),
    (|facts, _| facts.damaged_backups = vec![damaged(false)], Some(Severity::Critical), "the backup is bad", "pgmoneta-cli delete primary 20260101000000"),
    (|facts, _| facts.damaged_backups = vec![damaged(true)], Some(Severity::Critical), "the backup is bad", "owner"),
    (|facts, _| facts.findings = vec!["bad file".to_owned()], Some(Severity::Critical), "bad file", "disk"),
    (|facts, now| behind(facts, now, 64 << 20, 60), None, "", ""),
    (|facts, now| behind(facts, now, 65 << 20, 60), Some(Severity::Warning), "65.00MB of WAL would be lost", "network"),
    (|facts, now| behind(facts, now, 2 << 30, 60), Some(Severity::Critical), "2.00GB of WAL would be lost", "network"),
    (|facts, now| behind(facts, now, 1, 61), Some(Severity::Warning), "what the server wrote in the last 1 min 1 s would be lost", "1 min"),
    (|facts, now| behind(facts, now, 1, 301), Some(Severity::Critical), "what the server wrote in the last 5 min 1 s would be lost", "5 min"),
    (|facts, _| facts.room.exhausted = Some("not enough space".to_owned()), Some(Severity::Critical), "no backup can be taken: not enough space", "retention"),
    (|facts, _| facts.room.days_left = Some(6), Some(Severity::Warning), "the disk will be full in about 6 d", "retention"),
    (|facts, _| facts.room.days_left = Some(0), Some(Severity::Critical), "the disk will be full in less than a day", "retention"),
    (|facts, _| facts.unknown = vec!["base_dir is gone".to_owned()], Some(Severity::Critical), "base_dir is gone", "base_dir"),
];

#[test]
fn each_fact_that_makes_a_server_unsafe_is_one_problem_with_what_to_do() {
    // So that all times before it exist.
    let instant = Instant::now() + Duration::from_secs(3600);
    for (number, (change, severity, text, action)) in ROWS.iter().enumerate() {
        let mut facts = safe(instant);
        change(&mut facts, instant);
        let found = problems(&facts, &Thresholds::default(), now(instant));
        let severities: Vec<Severity> = found.iter().map(|problem| problem.severity).collect();
        let expected: Vec<Severity> = severity.iter().copied().collect();
        assert_eq!(severities, expected, "row {number}: {found:?}");
        for problem in found {
            assert!(!problem.text.contains("hint"), "row {number}: {problem:?}");
            assert!(problem.text.starts_with(text), "row {number}: {problem:?}");
            assert!(problem.action.contains(action), "row {number}: {problem:?}");
        }
    }
}

#[test]
fn the_most_urgent_problem_is_the_first() {
    let instant = Instant::now() + Duration::from_secs(3600);
    let mut facts = safe(instant);
    facts.receiver.seal_error = Some("EIO".to_owned());
    facts.room.exhausted = Some("full".to_owned());
    facts.room.days_left = Some(0);
    aged(&mut facts, 27);
    let found = problems(&facts, &Thresholds::default(), now(instant));
    let severities: Vec<Severity> = found.iter().map(|problem| problem.severity).collect();
    use Severity::{Critical, Warning};
    assert_eq!(severities, [Critical, Warning, Warning]);
}

#[test]
fn thresholds_are_changed_one_by_one_or_turned_off() {
    let instant = Instant::now() + Duration::from_secs(3600);
    let mut facts = safe(instant);
    aged(&mut facts, 30);
    facts.verified = Some(Timestamp::from_seconds(NOW - 8 * 86_400));
    let severities = |warning: &str, critical: &str, facts: &Facts| {
        let thresholds = Thresholds::parse(warning, critical).unwrap();
        let found = problems(facts, &thresholds, now(instant));
        let found = found.iter().map(|problem| problem.severity);
        found.collect::<Vec<Severity>>()
    };
    use Severity::{Critical, Warning};
    assert_eq!(severities("", "", &facts), [Warning]);
    assert_eq!(severities("backup-age=31h", "", &facts), []);
    assert_eq!(severities(" backup-age = off ,", "", &facts), []);
    assert_eq!(severities("", "backup-age=1d,rpo=1", &facts), [Critical]);
    assert_eq!(
        severities("verification-age=7d,backup-age=2d", "", &facts),
        [Warning]
    );
    facts.verified = None;
    assert_eq!(
        severities("verification-age=7d,backup-age=2d", "", &facts),
        [Warning],
        "never verified"
    );
    facts.newest_backup = None;
    assert_eq!(severities("backup-age=off", "", &facts), [Critical]);
    assert_eq!(severities("backup-age=off", "backup-age=off", &facts), []);
    for (warning, critical, why) in [
        (
            "nonsense=1",
            "",
            "--warning: there is no threshold \"nonsense\"",
        ),
        (
            "backup-age",
            "",
            "--warning: backup-age: \"\" is not a time",
        ),
        ("", "rpo=1x", "--critical: rpo: \"1x\" is not a size"),
        (
            "",
            "time-left=-1",
            "--critical: time-left: \"-1\" is not a time",
        ),
    ] {
        let error = Thresholds::parse(warning, critical).unwrap_err();
        assert!(error.message().starts_with(why), "{}", error.message());
        assert!(error.hint().is_some());
    }
}

/// `status` does not know how backups are planned.
#[test]
fn status_reports_what_needs_no_plan() {
    let instant = Instant::now() + Duration::from_secs(3600);
    let mut facts = safe(instant);
    facts.newest_backup = None;
    facts.receiver.covered_at = None;
    let status = |facts: &Facts| problems(facts, &Thresholds::of_status(), now(instant)).len();
    assert_eq!(status(&facts), 0);
    facts.room.days_left = Some(0);
    facts.receiver.gaps = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(status(&facts), 3);
}
