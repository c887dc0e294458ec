//! What is known of a server.

use std::time::{Duration, Instant};

use super::thresholds::Measure;
use crate::status::ReceiverState;
use crate::unit::{Label, Lsn, ServerName, Timestamp};

/// What is known of a server.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its name.
    pub server: ServerName,
    /// The WAL receiver.
    pub receiver: ReceiverState,
    /// `wal_receiver_timeout`.
    pub receiver_timeout: Duration,
    /// The end of WAL that the server has named when it was asked last; 0/0 if it was not.
    pub wal_end: Lsn,
    /// `wal_status` of its replication slot, if it was asked for lately.
    pub slot_status: Option<String>,
    /// When the newest backup ended that can be restored as far as known, by the clock of the
    /// server.
    pub newest_backup: Option<Timestamp>,
    /// How many backups there are.
    pub backups: usize,
    /// Those that cannot be restored.
    pub damaged_backups: Vec<DamagedBackup>,
    /// What the last verifications found in backups and in the archived WAL, one text for each.
    pub findings: Vec<String>,
    /// When the verification began that has read all of the archived WAL.
    pub verified: Option<Timestamp>,
    /// The room on its disk.
    pub room: Room,
    /// What of this could not be found out, one text for each.
    pub unknown: Vec<String>,
}

/// A backup that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedBackup {
    /// Its label.
    pub label: Label,
    /// Why.
    pub why: String,
    /// Whether the system prevented that it is read: it may be good.
    pub unreadable: bool,
}

/// The room on the disk of a server: the one with less, if it has two.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// Free bytes.
    pub free: u64,
    /// Bytes of the file system; 0 if it does not say, or is not known.
    pub total: u64,
    /// The days until no more than the reserve is free, if it gets fuller and that is known.
    pub days_left: Option<u64>,
    /// Why no backup can be taken.
    pub exhausted: Option<String>,
}

/// A point in time, by the clock that only goes forward and by the one of the calendar.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the one.
    pub instant: Instant,
    /// By the other.
    pub time: Timestamp,
}

impl Moment {
    /// The current one.
    pub fn now() -> Moment {
        Moment {
            instant: Instant::now(),
            time: Timestamp::now(),
        }
    }

    /// The seconds since another point in time; 0 if that is in the future.
    fn seconds_since(self, time: Timestamp) -> u64 {
        let seconds = self.time.seconds().saturating_sub(time.seconds());
        u64::try_from(seconds).unwrap_or(0)
    }
}

impl Facts {
    /// What is measured of the server, in the unit of the measure; `None` if it is not known, or
    /// there is nothing to measure.
    pub fn measured(&self, measure: Measure, now: Moment) -> Option<u64> {
        match measure {
            Measure::BackupAge => self.newest_backup.map(|time| now.seconds_since(time)),
            Measure::Rpo => self.receiver.at_risk(self.wal_end),
            Measure::RpoAge => {
                let exposure = self.receiver.exposure(now.instant);
                exposure.map(|exposure| exposure.as_secs())
            }
            Measure::TimeLeft => {
                let days = self.room.days_left;
                days.map(|days| days.saturating_mul(86_400))
            }
            Measure::VerificationAge => self.verified.map(|time| now.seconds_since(time)),
        }
    }
}
