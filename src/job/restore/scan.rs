//! Finds the record at which PostgreSQL's recovery would stop.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;

use super::created_tablespaces::CreatedTablespace;
use super::recovery_target::{RecoveryTarget, TargetKind};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Parameters;
use crate::format::wal::{Event, Record};
use crate::unit::{Lsn, Timestamp};

/// Whether recovery stops before or after a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The record is not replayed.
    Before,
    /// The record is the last one that is replayed.
    After,
}

/// The record at which recovery stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StopPoint {
    pub side: Side,
    pub start: Lsn,
    pub end: Lsn,
    /// The time of the commit or abort, if the record is one.
    pub time: Option<Timestamp>,
}

/// Observes every record from the start of a backup on, and decides where to stop as PostgreSQL
/// does (`recoveryStopsBefore` and `recoveryStopsAfter`, `xlogrecovery.c`, in 13 and 14 `xlog.c`).
pub(super) struct Scan<'a> {
    target: &'a TargetKind,
    inclusive: bool,
    /// The end of the backup, from which on it is consistent.
    consistent_at: Lsn,
    /// The target is known to lie before the end of the backup; only the end of WAL is searched.
    skip_target: bool,
    /// Where recovery stops, in a consistent state.
    pub stop_point: Option<StopPoint>,
    /// Where recovery would stop and fail, because it is not consistent yet.
    pub early_stop: Option<StopPoint>,
    /// The highest values of [`crate::format::LIMITS`] so far; `None` without an
    /// `XLOG_PARAMETER_CHANGE`.
    pub limits: Option<[i32; 5]>,
    /// The start of the record from which on WAL was written with `wal_level = minimal`.
    pub wal_level_minimal: Option<Lsn>,
    /// The time of the last commit or abort before the backup is consistent.
    pub time_before: Option<Timestamp>,
    /// The time of the last commit or abort after that, up to `stop_point`.
    pub time_after: Option<Timestamp>,
    /// The time of the backup's checkpoint, in whole seconds.
    pub first_checkpoint: Option<Timestamp>,
    /// The tablespaces that recovery creates.
    pub tablespaces: Vec<CreatedTablespace>,
    /// The page magic of records from an unknown version of PostgreSQL.
    pub unknown_magic: Option<u16>,
}

/// The higher value of each limit.
pub(super) fn max_limits(one: [i32; 5], other: [i32; 5]) -> [i32; 5] {
    let mut pairs = one.into_iter().zip(other);
    one.map(|limit| pairs.next().map_or(limit, |(one, other)| one.max(other)))
}

impl<'a> Scan<'a> {
    /// For a backup that is consistent at `consistent_at`; `skip_target` if the target is known to
    /// lie before that.
    pub fn new(target: &'a RecoveryTarget, consistent_at: Lsn, skip_target: bool) -> Scan<'a> {
        Scan {
            target: &target.kind,
            inclusive: target.inclusive,
            consistent_at,
            skip_target,
            stop_point: None,
            early_stop: None,
            limits: None,
            wal_level_minimal: None,
            time_before: None,
            time_after: None,
            first_checkpoint: None,
            tablespaces: Vec::new(),
            unknown_magic: None,
        }
    }

    /// Observes the next record. Breaks when recovery stops; continues after a stop that is too
    /// early, to find the end of WAL.
    pub fn observe(&mut self, record: &Record<'_>, event: &Event) -> ControlFlow<()> {
        let ended = event.end_of_transaction();
        let time = ended.map(|(_, time)| Timestamp(time));
        let stops = if self.skip_target || self.early_stop.is_some() {
            None
        } else {
            self.stop_side(record, event)
        };
        if let Event::ParameterChange(parameters) = event
            && parameters.wal_level == Parameters::MINIMAL
            && stops != Some(Side::Before)
        {
            self.wal_level_minimal = Some(record.start);
            return ControlFlow::Break(());
        }
        if let Some(side) = stops {
            let stop_point = StopPoint {
                side,
                start: record.start,
                end: record.end,
                time,
            };
            let replayed = match side {
                Side::Before => record.start,
                Side::After => record.end,
            };
            if replayed >= self.consistent_at {
                if side == Side::After {
                    self.note_replayed(record, event);
                }
                self.stop_point = Some(stop_point);
                return ControlFlow::Break(());
            }
            self.early_stop = Some(stop_point);
        }
        if time.is_some() {
            if record.end <= self.consistent_at {
                self.time_before = self.time_before.max(time);
            } else {
                self.time_after = self.time_after.max(time);
            }
        }
        self.note_replayed(record, event);
        ControlFlow::Continue(())
    }

    /// Updates the results with a record that recovery replays.
    fn note_replayed(&mut self, record: &Record<'_>, event: &Event) {
        match event {
            Event::Checkpoint { time, .. } => {
                self.first_checkpoint.get_or_insert(Timestamp(*time));
            }
            Event::CreateTablespace { oid, path } => self.tablespaces.push(CreatedTablespace {
                oid: *oid,
                path: OsStr::from_bytes(path).into(),
                at: record.start,
            }),
            Event::UnknownVersion { magic } => self.unknown_magic = Some(*magic),
            Event::ParameterChange(parameters) => {
                let limits = self.limits.get_or_insert([0; 5]);
                *limits = max_limits(*limits, parameters.limits);
            }
            _ => {}
        }
    }

    /// Fails if the target can only be found in records from an unknown version of PostgreSQL.
    pub fn check_wal_version(&self) -> Result<()> {
        let by_position = matches!(
            self.target,
            TargetKind::Immediate | TargetKind::Current | TargetKind::Lsn(_)
        );
        match self.unknown_magic.filter(|_| !by_position) {
            None => Ok(()),
            Some(magic) => {
                let message = format!(
                    "cannot search for {}: the WAL is from a newer version of PostgreSQL than this \
                     version of pgmoneta supports (page magic {magic:04X})",
                    self.target
                );
                Err(Error::new(ErrorKind::Unsupported, message).with_hint(
                    "without a position, with `current` or with lsn= it can be restored; a newer \
                     version of pgmoneta may support it",
                ))
            }
        }
    }

    fn stop_side(&self, record: &Record<'_>, event: &Event) -> Option<Side> {
        let side = if self.inclusive {
            Side::After
        } else {
            Side::Before
        };
        match self.target {
            // PostgreSQL stops before the next record, once it is consistent.
            TargetKind::Immediate => (record.start >= self.consistent_at).then_some(Side::Before),
            TargetKind::Current => None,
            TargetKind::Lsn(lsn) => (record.start >= *lsn).then_some(side),
            TargetKind::Name(target) => match event {
                Event::RestorePoint { name, .. } if name == target => Some(Side::After),
                _ => None,
            },
            TargetKind::Xid(target) => {
                let (xid, _) = event.end_of_transaction()?;
                (u64::from(xid) == target & 0xFFFF_FFFF).then_some(side)
            }
            TargetKind::Time(target) => {
                let (_, time) = event.end_of_transaction()?;
                let beyond = if self.inclusive {
                    time > target.0
                } else {
                    time >= target.0
                };
                beyond.then_some(Side::Before)
            }
        }
    }
}
