//! Decides what is wrong with a server.

use super::facts::{DamagedBackup, Facts, Moment};
use super::thresholds::{LIMITS, LimitRow, Measure, Thresholds};
use crate::status::Phase;

/// What separates an error from its hint, see [`crate::error::Error::message_with_hint`].
const HINT: &str = "; hint: ";

/// How urgent a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It becomes critical if nobody acts.
    Warning,
    /// Something is lost, or would be if the server failed now.
    Critical,
}

/// What is wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How urgent it is.
    pub severity: Severity,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub action: String,
}

impl Problem {
    fn new(severity: Severity, text: impl Into<String>, action: impl Into<String>) -> Problem {
        Problem {
            severity,
            text: text.into(),
            action: action.into(),
        }
    }

    fn critical(text: impl Into<String>, action: impl Into<String>) -> Problem {
        Problem::new(Severity::Critical, text, action)
    }

    /// What is wrong and what to do, one line.
    pub fn line(&self) -> String {
        format!("{}; {}", self.text, self.action)
    }
}

/// What is wrong with a server, the most urgent first; empty if it is safe.
pub fn problems(facts: &Facts, thresholds: &Thresholds, now: Moment) -> Vec<Problem> {
    let mut found = Vec::new();
    found.extend(facts.unknown.iter().map(|why| {
        let action = "see to base_dir and its disk: what is stored for the server is not known";
        Problem::critical(why, action)
    }));
    wal(facts, now, &mut found);
    slot(facts, &mut found);
    backups(facts, thresholds, &mut found);
    room(facts, &mut found);
    for row in &LIMITS {
        found.extend(limit(facts, thresholds, row, now));
    }
    found.sort_by_key(|problem| std::cmp::Reverse(problem.severity));
    found
}

fn wal(facts: &Facts, now: Moment, found: &mut Vec<Problem>) {
    let (receiver, server) = (&facts.receiver, &facts.server);
    found.extend(match &receiver.phase {
        Phase::Starting => Some(Problem::new(
            Severity::Warning,
            "no WAL is received yet: the daemon has just started",
            "wait until it is connected, at most authentication_timeout",
        )),
        Phase::Streaming => silence(facts, now),
        Phase::Reconnecting(why) => Some(not_received(
            why,
            "see to the server, its log and the network; the daemon connects again by itself",
        )),
        Phase::Alarm(why) => Some(not_received(
            why,
            "it goes on by itself when the reason is gone; see the log of the daemon",
        )),
        Phase::Stopped => Some(Problem::critical(
            "the WAL receiver has stopped",
            "see the log of the daemon, and start the daemon again",
        )),
    });
    if receiver.segments_grow_since.is_some() {
        found.push(Problem::critical(
            "the disk has no room for a whole WAL segment: WAL is received to its last byte only",
            "make room now: keep fewer backups (retention), delete some, or use a larger disk",
        ));
    }
    found.extend(receiver.gaps.iter().map(|gap| {
        let action = format!(
            "put the files back if they were moved, else take a full backup: pgmoneta-cli backup \
             {server}"
        );
        Problem::critical(gap, action)
    }));
    found.extend(receiver.seal_error.iter().map(|why| {
        Problem::new(
            Severity::Warning,
            format!("WAL segments cannot be sealed: {why}"),
            "see to the disk: they are stored, but neither compressed nor encrypted",
        )
    }));
}

/// What to do is the hint of the error, if it has one.
fn not_received(why: &str, action: &str) -> Problem {
    let (why, action) = why.split_once(HINT).unwrap_or((why, action));
    Problem::critical(format!("no WAL is received: {why}"), action)
}

/// No message for twice the timeout, which 0 disables.
fn silence(facts: &Facts, now: Moment) -> Option<Problem> {
    let limit = facts.receiver_timeout.saturating_mul(2);
    let last = facts.receiver.last_message_at?;
    let silent = now.instant.saturating_duration_since(last);
    (!limit.is_zero() && silent > limit).then(|| {
        let seconds = silent.as_secs();
        Problem::critical(
            format!("nothing was received for {seconds} s"),
            "see to the server and the network: the connection is there, but nothing arrives",
        )
    })
}

fn slot(facts: &Facts, found: &mut Vec<Problem>) {
    found.extend(match facts.slot_status.as_deref() {
        Some("unreserved") => Some(Problem::critical(
            "the replication slot is about to be lost: the server keeps no more WAL for it",
            "let WAL be received, or raise max_slot_wal_keep_size of the server now",
        )),
        Some("lost") => Some(Problem::critical(
            "the replication slot is lost: the server has removed WAL that was not received",
            "drop the slot and create it again, then take a full backup",
        )),
        _ => None,
    });
}

fn backups(facts: &Facts, thresholds: &Thresholds, found: &mut Vec<Problem>) {
    let server = &facts.server;
    let checked = [&thresholds.warning, &thresholds.critical]
        .iter()
        .any(|limits| limits.get(Measure::BackupAge).is_some());
    // What is stored may not be known.
    if checked && facts.newest_backup.is_none() && facts.unknown.is_empty() {
        let action = format!("take one: pgmoneta-cli backup {server}");
        found.push(Problem::critical("there is no valid backup", action));
    }
    found.extend(facts.damaged_backups.iter().map(|backup| {
        let DamagedBackup {
            label,
            why,
            unreadable,
        } = backup;
        let action = match unreadable {
            true => "let the daemon read its files: see to their owner and mode, and to the disk"
                .to_owned(),
            false => format!(
                "take a full backup, then: pgmoneta-cli delete {server} {label} (its directory \
                 must not be removed by hand: other backups may have links to its files)"
            ),
        };
        Problem::critical(why, action)
    }));
    found.extend(facts.findings.iter().map(|finding| {
        let action = format!(
            "see to the disk of the repository, and take a full backup: pgmoneta-cli backup \
             {server}"
        );
        Problem::critical(finding, action)
    }));
}

fn room(facts: &Facts, found: &mut Vec<Problem>) {
    let exhausted = facts.room.exhausted.as_ref();
    found.extend(exhausted.map(|why| {
        Problem::critical(
            format!("no backup can be taken: {why}"),
            "keep fewer backups (retention), delete some, or use a larger disk",
        )
    }));
}

/// The problem of a measure beyond its limit, or that is not known although it should be.
fn limit(facts: &Facts, thresholds: &Thresholds, row: &LimitRow, now: Moment) -> Option<Problem> {
    let severities = [
        (Severity::Critical, thresholds.critical.get(row.measure)),
        (Severity::Warning, thresholds.warning.get(row.measure)),
    ];
    let mut set = severities
        .into_iter()
        .filter_map(|(severity, limit)| Some((severity, limit?)))
        .peekable();
    set.peek()?;
    if row.measure == Measure::TimeLeft && facts.room.exhausted.is_some() {
        return None; // It is full, which is said.
    }
    let Some(value) = facts.measured(row.measure, now) else {
        return unknown(facts, row.measure);
    };
    let (severity, limit) = set.find(|(_, limit)| row.is_beyond(value, *limit))?;
    let (value, limit) = (row.text(value), row.text(limit));
    let (text, action) = explain(facts, row.measure, &value, &limit);
    Some(Problem::new(severity, text, action))
}

fn explain(facts: &Facts, measure: Measure, value: &str, limit: &str) -> (String, String) {
    let server = &facts.server;
    match measure {
        Measure::BackupAge => (
            format!("the newest valid backup is {value} old, more than {limit}"),
            format!("see why none was taken since, and take one: pgmoneta-cli backup {server}"),
        ),
        Measure::Rpo => (
            format!("{value} of WAL would be lost with the server, more than {limit}"),
            "if WAL is received, the network or the disk of the repository is too slow".to_owned(),
        ),
        Measure::RpoAge => (
            format!("what the server wrote in the last {value} would be lost with it"),
            format!("the limit is {limit}; see why WAL is not received, or not fast enough"),
        ),
        Measure::TimeLeft => {
            let when = match facts.room.days_left {
                Some(0) => "in less than a day, as it has filled in the last hours".to_owned(),
                _ => format!("in about {value}, as it has filled lately"),
            };
            (
                format!("the disk will be full {when}"),
                "keep fewer backups (retention), or use a larger disk".to_owned(),
            )
        }
        Measure::VerificationAge => (
            format!("the archived WAL was verified {value} ago, more than {limit}"),
            format!("set verification, or: pgmoneta-cli verify {server} wal"),
        ),
    }
}

/// The problem that something is not known, where it must be known to call the server safe.
fn unknown(facts: &Facts, measure: Measure) -> Option<Problem> {
    let (text, action) = match measure {
        // Said once, and not where no WAL is received.
        Measure::RpoAge if facts.receiver.is_streaming() => (
            "it is not known yet how much would be lost: not all WAL of the server has arrived \
             since the start of the daemon",
            "wait until it has; if it does not, the network or the disk is too slow".to_owned(),
        ),
        Measure::VerificationAge => (
            "not all of the archived WAL was verified yet",
            format!(
                "set verification, or: pgmoneta-cli verify {} wal",
                facts.server
            ),
        ),
        _ => return None,
    };
    Some(Problem::new(Severity::Warning, text, action))
}
