//! Decides from the WAL whether recovery from a backup reaches the target, and where it ends.

use std::fmt;
use std::ops::ControlFlow;

use super::created_tablespaces::CreatedTablespace;
use super::recovery_target::{RecoveryTarget, TargetKind};
use super::scan::{Scan, StopPoint};
use crate::error::{Error, ErrorKind, Result};
use crate::format::TimelineHistory;
use crate::job::replay::{ReadResult, SegmentFile, Segments, Stopped, WalReader, choose_path};
use crate::repository::Backup;
use crate::sys::Stop;
use crate::unit::{Label, Lsn, Timeline, Timestamp};

/// Where recovery ends, and what it needs to get there.
#[derive(Clone, Debug)]
pub(super) struct RecoveryEnd {
    /// The timeline path, up to the timeline on which recovery ends.
    pub history: TimelineHistory,
    /// The file of each WAL segment, from the segment of the backup's start on.
    pub files: Vec<SegmentFile>,
    /// The record at which recovery stops; `None` if it replays to the end of WAL.
    pub stop_point: Option<StopPoint>,
    /// The start of the last record; `None` unless recovery replays to the end of WAL.
    pub last: Option<Lsn>,
    /// The end of the WAL that recovery needs.
    pub wal_end: Lsn,
    /// The time of the last replayed commit or abort; `None` if unknown.
    pub time: Option<Timestamp>,
    /// The tablespaces that recovery creates.
    pub tablespaces: Vec<CreatedTablespace>,
    /// The page magic of WAL from an unknown version of PostgreSQL, whose records cannot be
    /// decoded.
    pub unknown_magic: Option<u16>,
    /// The highest values of [`crate::format::LIMITS`] in the replayed WAL; `None` if none were
    /// changed.
    pub limits: Option<[i32; 5]>,
}

/// The result of a search for the target.
pub(super) enum Reachability {
    /// Recovery reaches the target.
    Reachable(RecoveryEnd),
    /// The target lies before the end of the backup.
    TooEarly(RecoverableRange),
    /// WAL ends before the target.
    TooLate(RecoverableRange),
}

/// The range of positions to which a backup can be recovered.
#[derive(Clone, Debug)]
pub(super) struct RecoverableRange {
    pub label: Label,
    pub timeline: Timeline,
    pub from: Lsn,
    pub from_time: Option<Timestamp>,
    pub to: Lsn,
    pub to_time: Option<Timestamp>,
    /// Whether a record that begins at `to` may be replayed.
    pub inclusive: bool,
    /// Why the range ends here, if WAL after it is missing, damaged or incomplete.
    pub defect: Option<String>,
    /// Other timelines that have WAL.
    pub other_timelines: Vec<Timeline>,
}

/// Searches WAL for the recovery target.
pub(super) struct TargetSearch<'a> {
    pub segments: &'a Segments,
    pub system_identifier: Option<u64>,
    pub stop: &'a Stop,
}

impl TargetSearch<'_> {
    /// Reads the WAL from the start of a backup until the target is found, or up to `until`: the
    /// target is known not to lie after that.
    pub fn search(
        &self,
        backup: &Backup,
        target: &RecoveryTarget,
        until: Option<Lsn>,
    ) -> Result<Reachability> {
        let info = &backup.info;
        let history = choose_path(self.segments, info, target.timeline, self.stop)?;
        let reader = self.wal_reader(&history, backup);
        let skip_target = lsn_lies_before_end(backup, &target.kind)
            || self.time_lies_before_end(backup, target, &history)? == Some(true);
        let mut scan = Scan::new(target, info.end.lsn, skip_target);
        let result = reader.read(info.start.lsn, &mut |record, event| {
            if until.is_some_and(|until| record.start >= until) {
                return ControlFlow::Break(());
            }
            scan.observe(record, &event)
        })?;
        scan.check_wal_version()?;
        let mut range = RecoverableRange::of(backup, &history, &scan, &result, self.segments);
        range.other_timelines = self.segments.timelines();
        range
            .other_timelines
            .retain(|other| *other != history.timeline());
        if skip_target || scan.early_stop.is_some() {
            return Ok(Reachability::TooEarly(range));
        }
        let consistent = result.end >= info.end.lsn;
        let all_read = match &result.stopped {
            Stopped::EndOfWal(segment) => !self.segments.is_pruned(*segment),
            _ => false,
        };
        let end_of_wal = match target.kind {
            TargetKind::Current => consistent && all_read,
            // All WAL is available, but no later record at which recovery would stop.
            TargetKind::Immediate => consistent,
            // All WAL before the target is available, but no record that begins after it.
            TargetKind::Lsn(lsn) => consistent && lsn <= result.end,
            _ => false,
        };
        let time = scan.time_after.or(scan.time_before);
        if scan.stop_point.is_none() && (!end_of_wal || scan.wal_level_minimal.is_some()) {
            return Ok(Reachability::TooLate(range));
        }
        let wal_end = scan
            .stop_point
            .map_or(result.end, |stop_point| stop_point.end);
        // A standby without a target continues; all others end on the timeline of the target.
        let on = history.timeline_at(Lsn(wal_end.0.saturating_sub(1)));
        Ok(Reachability::Reachable(RecoveryEnd {
            wal_end,
            last: result.last.filter(|_| scan.stop_point.is_none()),
            stop_point: scan.stop_point,
            time,
            limits: scan.limits,
            history: if target.follows_primary() {
                history
            } else {
                history.up_to(on)
            },
            files: result.files,
            tablespaces: scan.tablespaces,
            unknown_magic: scan.unknown_magic,
        }))
    }

    fn wal_reader<'w>(&'w self, history: &'w TimelineHistory, backup: &Backup) -> WalReader<'w> {
        WalReader {
            segments: self.segments,
            history,
            system_identifier: self.system_identifier.or(backup.info.system_identifier),
            strict: false,
            stop: self.stop,
        }
    }

    /// Whether the target is a time before that of a commit or abort that the consistent backup
    /// contains. Only WAL has that time: the clock at the end of a backup may be long after its
    /// last transaction. `None` if WAL does not reach the end of the backup, or the target is not a
    /// time.
    pub fn time_lies_before_end(
        &self,
        backup: &Backup,
        target: &RecoveryTarget,
        history: &TimelineHistory,
    ) -> Result<Option<bool>> {
        let TargetKind::Time(time) = target.kind else {
            return Ok(None);
        };
        let (start, end) = (backup.info.start.lsn, backup.info.end.lsn);
        let reader = self.wal_reader(history, backup);
        let mut scan = Scan::new(target, end, false);
        let result = reader.read(start, &mut |record, event| {
            if record.start >= end
                || scan.observe(record, &event).is_break()
                || scan.early_stop.is_some()
            {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        scan.check_wal_version()?;
        if scan.early_stop.is_some() {
            return Ok(Some(true));
        }
        if result.end < end {
            return Ok(None);
        }
        if scan.time_before.is_some() {
            return Ok(Some(false));
        }
        let last = reader.last_end_of_transaction(start)?.map(Timestamp);
        // Without such a record the last transaction ended before the checkpoint of the backup,
        // known to the second.
        let last = last.or(scan
            .first_checkpoint
            .map(|time| Timestamp(time.0 + 1_000_000)));
        Ok(last.map(|last| last > time || last == time && !target.inclusive))
    }
}

/// Whether the target is an LSN before the end of a backup.
pub(super) fn lsn_lies_before_end(backup: &Backup, target: &TargetKind) -> bool {
    matches!(target, TargetKind::Lsn(lsn) if *lsn < backup.info.end.lsn)
}

impl RecoverableRange {
    fn of(
        backup: &Backup,
        history: &TimelineHistory,
        scan: &Scan<'_>,
        result: &ReadResult,
        segments: &Segments,
    ) -> RecoverableRange {
        let size = segments.size();
        let defect = match &result.stopped {
            Stopped::ByCaller | Stopped::EndOfWal(_) => None,
            Stopped::Missing(first, last) if first == last => {
                let why = segments.why_missing(*first);
                Some(format!("WAL segment {} is {why}", first.name(size)))
            }
            Stopped::Missing(first, last) => Some(format!(
                "WAL segments {} to {} are {}",
                first.name(size),
                last.name(size),
                segments.why_missing(*first)
            )),
            Stopped::Damaged(path, why) => Some(format!("{path} is damaged: {why}")),
        };
        let defect = scan.wal_level_minimal.map(wal_level_minimal).or(defect);
        let defect = defect.or(match &result.stopped {
            Stopped::EndOfWal(segment) if segments.is_pruned(*segment) => {
                let (name, why) = (segment.name(size), segments.why_missing(*segment));
                Some(format!("WAL segment {name} is {why}"))
            }
            Stopped::EndOfWal(segment) if result.end < backup.info.end.lsn => {
                let name = segment.name(size);
                Some(format!("WAL segment {name} is missing or not complete"))
            }
            _ => None,
        });
        RecoverableRange {
            label: backup.label.clone(),
            timeline: history.timeline(),
            from: backup.info.end.lsn,
            from_time: scan.time_before.or(backup.info.stop_time.map(Timestamp)),
            to: scan.wal_level_minimal.unwrap_or(result.end),
            to_time: scan.time_after,
            inclusive: scan.wal_level_minimal.is_none(),
            defect,
            other_timelines: Vec::new(),
        }
    }

    /// Extends the range to that of an older backup.
    pub fn extended_to(self, older: RecoverableRange) -> RecoverableRange {
        RecoverableRange {
            label: older.label,
            from: older.from,
            from_time: older.from_time,
            to_time: self.to_time.or(older.to_time),
            ..self
        }
    }

    /// Why the target cannot be reached from this backup: WAL ends before it.
    pub fn too_late(&self, target: &TargetKind) -> Error {
        if self.to < self.from {
            let why = self.defect.as_deref().unwrap_or("WAL is missing");
            let message = format!("the backup {} cannot be made consistent: {why}", self.label);
            return Error::new(ErrorKind::Unreachable, message)
                .with_hint("choose another backup; check it with `pgmoneta-cli verify`");
        }
        let mut message = format!("{target} cannot be reached: {self}");
        if let Some(defect) = &self.defect {
            message.push_str(&format!("; there {defect}"));
        }
        let hint = match (&self.defect, target) {
            (Some(_), _) => format!(
                "the last position that can be reached is lsn={}{}",
                self.to,
                if self.inclusive { "" } else { ",inclusive=off" }
            ),
            (None, TargetKind::Time(_)) => {
                "recovery stops at a time only if a later transaction follows; `current` restores \
                 all received WAL"
                    .to_owned()
            }
            (None, _) => "`current` restores all received WAL".to_owned(),
        };
        let hint = match self.other_timelines.as_slice() {
            [] => hint,
            [.., other] => format!(
                "{hint}; this is the end of timeline {}; there is WAL of other timelines, up to \
                 {other}: choose one with timeline=NUMBER",
                self.timeline
            ),
        };
        Error::new(ErrorKind::Unreachable, message).with_hint(hint)
    }

    /// Why the target cannot be reached from this backup: the target lies before its end.
    pub fn too_early(&self, target: &TargetKind, other: Option<&Label>) -> Error {
        let message = format!("{target} lies before the end of the backup: {self}");
        Error::new(ErrorKind::Unreachable, message).with_hint(match other {
            Some(label) => format!("use the backup {label}"),
            None => "no older backup reaches it".to_owned(),
        })
    }
}

/// Why recovery ends before a change to `wal_level = minimal`: PostgreSQL stops there, and 13
/// continues with a warning that data may be missing (`CheckRequiredParameterValues`, PostgreSQL 18
/// `xlogrecovery.c`, in 13 and 14 `xlog.c`).
fn wal_level_minimal(at: Lsn) -> String {
    format!(
        "from {at} on the server ran with wal_level = minimal, and its WAL is incomplete; a later \
         position needs a backup that was taken after that"
    )
}

impl fmt::Display for RecoverableRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time =
            |time: Option<Timestamp>| time.map_or(String::new(), |time| format!(" ({time})"));
        write!(
            f,
            "recovery from the backup {} on timeline {} can end from {}{} to {}{}",
            self.label,
            self.timeline,
            self.from,
            time(self.from_time),
            self.to,
            match self.to_time {
                Some(last) => format!(" (last transaction {last})"),
                None => " (no transaction ends in this range)".to_owned(),
            }
        )
    }
}
