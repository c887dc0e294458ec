//! Whether recovery from a backup reaches the target, proven by the WAL itself.

use std::fmt;

use super::position::{Position, Role, Target};
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
    /// Why it does not reach further, where that is no good reason.
    pub broken: Option<String>,
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
        let walk = Walk {
            segments: self.segments,
            history: &history,
            system_identifier: self.system_identifier.or(info.system_identifier),
            stop: self.stop,
        };
        let before = lies_before(backup, &position.target);
        let mut scan = Scan::new(position, info.end.1, before);
        let walked = walk.run(info.start.1, &mut |record, event| {
            if until.is_some_and(|until| record.start >= until) {
                return std::ops::ControlFlow::Break(());
            }
            scan.see(record, &event)
        })?;
        let interval = Interval::of(backup, &history, &scan, &walked, self.segments.size());
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
        if scan.hit.is_none() && !end_of_wal {
            return Ok(Verdict::TooLate(interval));
        }
        let needed = scan.hit.map_or(walked.end, |hit| hit.end);
        // A standby without a target goes on; what ends goes no further than to the timeline that it ends on.
        let goes_on = position.role == Role::Replica && position.target == Target::Current;
        let on = history.timeline_at(Lsn(needed.0.saturating_sub(1)));
        Ok(Verdict::Reached(Reach {
            needed,
            last: walked.last.filter(|_| scan.hit.is_none()),
            hit: scan.hit,
            time,
            history: if goes_on { history } else { history.to(on) },
            files: walked.files,
            tablespaces: scan.tablespaces,
        }))
    }
}

/// Whether the target lies before the end of a backup by what is known of the backup alone.
pub(super) fn lies_before(backup: &Backup, target: &Target) -> bool {
    match target {
        Target::Lsn(lsn) => *lsn < backup.info.end.1,
        Target::Time(time) => backup.info.stop_time.is_some_and(|stop| time.0 < stop),
        _ => false,
    }
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
            from_time: backup.info.stop_time.map(Timestamp).or(scan.time_before),
            to: walked.end,
            to_time: scan.time_after,
            broken,
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
            (Some(_), _) => format!("the last position that can be reached is lsn={}", self.to),
            (None, Target::Time(_)) => {
                "recovery stops at a time only before a later transaction; `current` restores everything that was received"
                    .to_owned()
            }
            (None, _) => "`current` restores everything that was received".to_owned(),
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
