//! Whether recovery from a backup reaches the target, proven by the WAL itself.

use std::fmt;
use std::ops::ControlFlow;

use super::position::{Position, Target};
use super::replayed::Replayed;
use super::scan::{Hit, Scan};
use crate::error::{Failure, Kind, Result};
use crate::format::TimelineHistory;
use crate::job::replay::{Ending, Segments, Walk, Walked, WayFile, choose};
use crate::repository::Backup;
use crate::sys::Stop;
use crate::unit::{Label, Lsn, SegmentSize, Timeline, Timestamp};

/// How recovery reaches the target.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// The way of timelines, up to the one on which recovery ends.
    pub history: TimelineHistory,
    /// The files with the WAL of each segment, from that of the backup's beginning on.
    pub files: Vec<WayFile>,
    /// The record at which it stops; `None` if it goes on to the end of WAL.
    pub hit: Option<Hit>,
    /// The last record there is, where that is the end of WAL.
    pub last: Option<Lsn>,
    /// WAL is needed up to here.
    pub needed: Lsn,
    /// The last end of a transaction that is replayed, as far as known.
    pub time: Option<Timestamp>,
    /// The tablespaces that recovery makes.
    pub tablespaces: Vec<Replayed>,
    /// The page magic, where a newer version of PostgreSQL wrote the WAL, of which these are not known.
    pub not_known: Option<u16>,
    /// The highest limits that the server had on the way, if it changed any.
    pub limits: Option<[i32; 5]>,
}

/// What became of a look.
pub(super) enum Verdict {
    /// The target is reached.
    Reached(Reach),
    /// The target lies before the end of the backup.
    TooEarly(Interval),
    /// WAL ends before the target.
    TooLate(Interval),
}

/// What can be reached from a backup.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    pub label: Label,
    pub timeline: Timeline,
    pub from: Lsn,
    pub from_time: Option<Timestamp>,
    pub to: Lsn,
    pub to_time: Option<Timestamp>,
    /// Whether a record that begins at `to` may be replayed.
    pub inclusive: bool,
    /// Why it does not reach further, where that is no good reason.
    pub broken: Option<String>,
    /// The other timelines that have WAL.
    pub others: Vec<Timeline>,
}

/// Where targets are looked for.
pub(super) struct Reader<'a> {
    pub segments: &'a Segments,
    pub system_identifier: Option<u64>,
    pub stop: &'a Stop,
}

impl Reader<'_> {
    /// Reads the WAL from the beginning of a backup until the target is found; only up to `until`, if that is given,
    /// because there the target is known not to be.
    pub fn look(
        &self,
        backup: &Backup,
        position: &Position,
        until: Option<Lsn>,
    ) -> Result<Verdict> {
        let info = &backup.info;
        let history = choose(self.segments, info, position.timeline, self.stop)?;
        let walk = self.walk(&history, backup);
        let before = lies_before(backup, &position.target)
            || self.is_over(backup, position, &history)? == Some(true);
        let mut scan = Scan::new(position, info.end.1, before);
        let walked = walk.run(info.start.1, &mut |record, event| {
            if until.is_some_and(|until| record.start >= until) {
                return ControlFlow::Break(());
            }
            scan.see(record, &event)
        })?;
        scan.check_known()?;
        let mut interval = Interval::of(backup, &history, &scan, &walked, self.segments.size());
        interval.others = self.segments.timelines();
        interval.others.retain(|other| *other != history.timeline());
        if before || scan.early.is_some() {
            return Ok(Verdict::TooEarly(interval));
        }
        let consistent = walked.end >= info.end.1;
        let whole = matches!(walked.ending, Ending::Received(_));
        let end_of_wal = match position.target {
            Target::Current => consistent && whole,
            // Everything is there, but no record behind it at which recovery would stop.
            Target::Immediate => consistent,
            // Everything before it is there, but no record that begins behind it.
            Target::Lsn(lsn) => consistent && lsn <= walked.end,
            _ => false,
        };
        let time = scan.time_after.or(scan.time_before);
        if scan.hit.is_none() && (!end_of_wal || scan.minimal.is_some()) {
            return Ok(Verdict::TooLate(interval));
        }
        let needed = scan.hit.map_or(walked.end, |hit| hit.end);
        // A standby without a target goes on; what ends goes no further than to the timeline that it ends on.
        let on = history.timeline_at(Lsn(needed.0.saturating_sub(1)));
        Ok(Verdict::Reached(Reach {
            needed,
            last: walked.last.filter(|_| scan.hit.is_none()),
            hit: scan.hit,
            time,
            limits: scan.limits,
            history: if position.goes_on() {
                history
            } else {
                history.to(on)
            },
            files: walked.files,
            tablespaces: scan.tablespaces,
            not_known: scan.not_known,
        }))
    }

    fn walk<'w>(&'w self, history: &'w TimelineHistory, backup: &Backup) -> Walk<'w> {
        Walk {
            segments: self.segments,
            history,
            system_identifier: self.system_identifier.or(backup.info.system_identifier),
            stop: self.stop,
        }
    }

    /// Whether a transaction ended after the time that is the target and is in the backup when that is consistent. Only
    /// WAL can say so: the clock at a backup's end may be long after its last transaction. `None` if WAL does not reach
    /// there, or the target is no time.
    pub fn is_over(
        &self,
        backup: &Backup,
        position: &Position,
        history: &TimelineHistory,
    ) -> Result<Option<bool>> {
        let Target::Time(target) = position.target else {
            return Ok(None);
        };
        let (start, end) = (backup.info.start.1, backup.info.end.1);
        let walk = self.walk(history, backup);
        let mut scan = Scan::new(position, end, false);
        let walked = walk.run(start, &mut |record, event| {
            if record.start >= end || scan.see(record, &event).is_break() || scan.early.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        scan.check_known()?;
        if scan.early.is_some() {
            return Ok(Some(true));
        }
        if walked.end < end {
            return Ok(None);
        }
        if scan.time_before.is_some() {
            return Ok(Some(false));
        }
        let last = walk.last_end_of_transaction(start)?.map(Timestamp);
        // Where WAL does not say, what ended before the backup ended before its checkpoint, which is known to the second.
        let last = last.or(scan.checkpoint.map(|time| Timestamp(time.0 + 1_000_000)));
        Ok(last.map(|last| last > target || last == target && !position.inclusive))
    }
}

/// Whether a position lies before the end of a backup.
pub(super) fn lies_before(backup: &Backup, target: &Target) -> bool {
    matches!(target, Target::Lsn(lsn) if *lsn < backup.info.end.1)
}

impl Interval {
    fn of(
        backup: &Backup,
        history: &TimelineHistory,
        scan: &Scan<'_>,
        walked: &Walked,
        size: SegmentSize,
    ) -> Interval {
        let broken = match &walked.ending {
            Ending::Told | Ending::Received(_) => None,
            Ending::Missing(first, last) if first == last => {
                Some(format!("WAL segment {} is missing", first.name(size)))
            }
            Ending::Missing(first, last) => Some(format!(
                "WAL segments {} to {} are missing",
                first.name(size),
                last.name(size)
            )),
            Ending::Damaged(path, why) => Some(format!("{path} is damaged: {why}")),
        };
        let broken = scan.minimal.map(minimal).or(broken);
        let broken = broken.or(match &walked.ending {
            Ending::Received(segment) if walked.end < backup.info.end.1 => {
                let name = segment.name(size);
                Some(format!("WAL segment {name} is missing or not complete"))
            }
            _ => None,
        });
        Interval {
            label: backup.label.clone(),
            timeline: history.timeline(),
            from: backup.info.end.1,
            from_time: scan.time_before.or(backup.info.stop_time.map(Timestamp)),
            to: scan.minimal.unwrap_or(walked.end),
            to_time: scan.time_after,
            inclusive: scan.minimal.is_none(),
            broken,
            others: Vec::new(),
        }
    }

    /// With what can be reached from an older backup besides.
    pub fn joined(self, older: Interval) -> Interval {
        Interval {
            label: older.label,
            from: older.from,
            from_time: older.from_time,
            to_time: self.to_time.or(older.to_time),
            ..self
        }
    }

    /// Why the target cannot be reached from this backup: WAL ends before it.
    pub fn too_late(&self, target: &Target) -> Failure {
        if self.to < self.from {
            let why = self.broken.as_deref().unwrap_or("WAL is missing");
            let message = format!("the backup {} cannot be made consistent: {why}", self.label);
            return Failure::new(Kind::Unreachable, message)
                .hint("choose another backup; `pgmoneta-cli verify` checks one");
        }
        let mut message = format!("{target} cannot be reached: {self}");
        if let Some(broken) = &self.broken {
            message.push_str(&format!("; there {broken}"));
        }
        let hint = match (&self.broken, target) {
            (Some(_), _) => format!(
                "the last position that can be reached is lsn={}{}",
                self.to,
                if self.inclusive { "" } else { ",inclusive=off" }
            ),
            (None, Target::Time(_)) => {
                "recovery stops at a time only before a later transaction; `current` restores everything that was received"
                    .to_owned()
            }
            (None, _) => "`current` restores everything that was received".to_owned(),
        };
        let hint = match self.others.as_slice() {
            [] => hint,
            [.., other] => format!(
                "{hint}; that is the way to timeline {}, and there is WAL of other timelines, up to {other}, which timeline=NUMBER \
                 looks at",
                self.timeline
            ),
        };
        Failure::new(Kind::Unreachable, message).hint(hint)
    }

    /// Why the target cannot be reached from this backup: the target lies before its end.
    pub fn too_early(&self, target: &Target, other: Option<&Label>) -> Failure {
        let message = format!("{target} lies before the end of the backup: {self}");
        Failure::new(Kind::Unreachable, message).hint(match other {
            Some(label) => format!("the backup {label} fits"),
            None => "no older backup reaches it".to_owned(),
        })
    }
}

/// Why recovery does not pass a record: PostgreSQL stops there, and 13 goes on with a warning that data may be missing
/// (`CheckRequiredParameterValues`, PostgreSQL 18 `xlogrecovery.c`, in 13 and 14 `xlog.c`).
fn minimal(at: Lsn) -> String {
    format!(
        "from {at} on the server ran with wal_level = minimal, so that its WAL lacks data; only a backup that was taken \
         later goes beyond that"
    )
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time =
            |time: Option<Timestamp>| time.map_or(String::new(), |time| format!(" ({time})"));
        write!(
            f,
            "from the backup {} recovery on timeline {} reaches from {}{} to {}{}",
            self.label,
            self.timeline,
            self.from,
            time(self.from_time),
            self.to,
            match self.to_time {
                Some(last) => format!(" (last transaction {last})"),
                None => " (no transaction ends in between)".to_owned(),
            }
        )
    }
}
