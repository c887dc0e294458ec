//! Finds the record at which PostgreSQL's recovery would stop.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;

use super::position::{Position, Target};
use super::replayed::Replayed;
use crate::error::{Failure, Kind, Result};
use crate::format::Parameters;
use crate::format::wal::{Event, Record};
use crate::unit::{Lsn, Timestamp};

/// On which side of a record recovery stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The record is not replayed.
    Before,
    /// It is the last one that is replayed.
    After,
}

/// The record at which recovery stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub side: Side,
    pub start: Lsn,
    pub end: Lsn,
    /// When the transaction ended, if it is the end of one.
    pub time: Option<Timestamp>,
}

/// Looks at every record from the beginning of a backup on, and decides as PostgreSQL does (`recoveryStopsBefore` and
/// `recoveryStopsAfter`, `xlogrecovery.c`, in 13 and 14 `xlog.c`).
pub(super) struct Scan<'a> {
    target: &'a Target,
    inclusive: bool,
    /// From here on the backup is consistent.
    consistent: Lsn,
    /// The target is known to lie before the backup's end; only the reach of WAL is of interest.
    hopeless: bool,
    /// Recovery stops here, consistent.
    pub hit: Option<Hit>,
    /// Recovery would stop here, and fail since it is not consistent yet.
    pub early: Option<Hit>,
    /// The highest limits that the server had on the way, if it changed any (`XLOG_PARAMETER_CHANGE`).
    pub limits: Option<[i32; 5]>,
    /// Recovery would come to this record, from which on WAL was written with `wal_level = minimal`.
    pub minimal: Option<Lsn>,
    /// The last end of a transaction before the backup is consistent.
    pub time_before: Option<Timestamp>,
    /// The last end of a transaction from then on, and what came last before `hit`.
    pub time_after: Option<Timestamp>,
    /// When the first checkpoint began, in whole seconds: that with which the backup began.
    pub checkpoint: Option<Timestamp>,
    /// The tablespaces that are made.
    pub tablespaces: Vec<Replayed>,
    /// The page magic of records that a newer version of PostgreSQL wrote.
    pub not_known: Option<u16>,
}

/// The higher one of each two limits.
pub(super) fn higher(one: [i32; 5], other: [i32; 5]) -> [i32; 5] {
    let mut pairs = one.into_iter().zip(other);
    one.map(|limit| pairs.next().map_or(limit, |(one, other)| one.max(other)))
}

impl<'a> Scan<'a> {
    /// For a backup that is consistent when everything before `consistent` was replayed; `hopeless` if the target is
    /// known to lie before that.
    pub fn new(position: &'a Position, consistent: Lsn, hopeless: bool) -> Scan<'a> {
        Scan {
            target: &position.target,
            inclusive: position.inclusive,
            consistent,
            hopeless,
            hit: None,
            early: None,
            limits: None,
            minimal: None,
            time_before: None,
            time_after: None,
            checkpoint: None,
            tablespaces: Vec::new(),
            not_known: None,
        }
    }

    /// Takes the next record. Breaks when recovery stops; goes on after a stop that is too early, to learn how far WAL
    /// reaches.
    pub fn see(&mut self, record: &Record<'_>, event: &Event) -> ControlFlow<()> {
        let ended = event.end_of_transaction();
        let time = ended.map(|(_, time)| Timestamp(time));
        let stops = if self.hopeless || self.early.is_some() {
            None
        } else {
            self.stops(record, event)
        };
        if let Event::ParameterChange(parameters) = event
            && parameters.wal_level == Parameters::MINIMAL
            && stops != Some(Side::Before)
        {
            self.minimal = Some(record.start);
            return ControlFlow::Break(());
        }
        if let Some(side) = stops {
            let hit = Hit {
                side,
                start: record.start,
                end: record.end,
                time,
            };
            let replayed = match side {
                Side::Before => record.start,
                Side::After => record.end,
            };
            if replayed >= self.consistent {
                if side == Side::After {
                    self.replay(record, event);
                }
                self.hit = Some(hit);
                return ControlFlow::Break(());
            }
            self.early = Some(hit);
        }
        if time.is_some() {
            if record.end <= self.consistent {
                self.time_before = self.time_before.max(time);
            } else {
                self.time_after = self.time_after.max(time);
            }
        }
        self.replay(record, event);
        ControlFlow::Continue(())
    }

    /// Takes note of a record that recovery replays.
    fn replay(&mut self, record: &Record<'_>, event: &Event) {
        match event {
            Event::Checkpoint { time, .. } => {
                self.checkpoint.get_or_insert(Timestamp(*time));
            }
            Event::Tablespace { oid, path } => self.tablespaces.push(Replayed {
                oid: *oid,
                path: OsStr::from_bytes(path).into(),
                at: record.start,
            }),
            Event::NotKnown { magic } => self.not_known = Some(*magic),
            Event::ParameterChange(parameters) => {
                let limits = self.limits.get_or_insert([0; 5]);
                *limits = higher(*limits, parameters.limits);
            }
            _ => {}
        }
    }

    /// Fails if the target is to be found in records that a newer version of PostgreSQL wrote.
    pub fn check_known(&self) -> Result<()> {
        let position = matches!(
            self.target,
            Target::Immediate | Target::Current | Target::Lsn(_)
        );
        match self.not_known.filter(|_| !position) {
            None => Ok(()),
            Some(magic) => {
                let message = format!(
                    "{} cannot be looked for: the WAL is that of a newer version of PostgreSQL than this version of pgmoneta \
                     knows (page magic {magic:04X})",
                    self.target
                );
                Err(Failure::new(Kind::Unsupported, message).hint(
                    "without a position, with `current` or with lsn= it can be restored; a newer version of pgmoneta may \
                     know more",
                ))
            }
        }
    }

    fn stops(&self, record: &Record<'_>, event: &Event) -> Option<Side> {
        let side = if self.inclusive {
            Side::After
        } else {
            Side::Before
        };
        match self.target {
            // Consistent or not, PostgreSQL asks before it replays the next record.
            Target::Immediate => (record.start >= self.consistent).then_some(Side::Before),
            Target::Current => None,
            Target::Lsn(lsn) => (record.start >= *lsn).then_some(side),
            Target::Name(wanted) => match event {
                Event::RestorePoint { name, .. } if name == wanted => Some(Side::After),
                _ => None,
            },
            Target::Xid(wanted) => {
                let (xid, _) = event.end_of_transaction()?;
                (u64::from(xid) == wanted & 0xFFFF_FFFF).then_some(side)
            }
            Target::Time(wanted) => {
                let (_, time) = event.end_of_transaction()?;
                let beyond = if self.inclusive {
                    time > wanted.0
                } else {
                    time >= wanted.0
                };
                beyond.then_some(Side::Before)
            }
        }
    }
}
