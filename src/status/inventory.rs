//! What is stored for a server, as it was found on the disk last: the metrics show it, and read
//! nothing from the disk themselves.

use std::time::{Duration, Instant};

use crate::format::TimelineHistory;
use crate::storage::Space;
use crate::unit::{Label, Lsn, PgVersion, StepTimes, Timestamp, WalPosition};

/// What was found on the disk for a server.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// When that was tried last, with or without success.
    pub tried_at: Option<Instant>,
    /// [`super::ServerState::changes`] then.
    pub changes: u64,
    /// When it was collected; `None` if it was not yet.
    pub collected_at: Option<Instant>,
    /// How long that took.
    pub took: Duration,
    /// The complete backups, oldest first.
    pub backups: Vec<StoredBackup>,
    /// Bytes on disk of all backups: what one has linked to another counts once.
    pub backup_bytes: u64,
    /// The archived WAL.
    pub wal: StoredWal,
    /// The history of the timeline that the archive follows.
    pub history: Option<TimelineHistory>,
    /// The directories of the server, with the file systems that they are on.
    pub disks: Vec<StoreDisk>,
    /// The file system of `base_dir`.
    pub base: Space,
    /// The points in time between which recovery is proven to be possible.
    pub restorable: Option<(Timestamp, Timestamp)>,
    /// The end of that interval.
    pub proven: Option<WalPosition>,
    /// When the backup was verified whose last verification is the oldest; `None` if one was not
    /// verified yet, or there is none.
    pub backups_verified: Option<Timestamp>,
    /// When the last complete verification of the archived WAL began.
    pub wal_verified: Option<Timestamp>,
}

/// The archived WAL of a server.
#[derive(Clone, Debug, Default)]
pub struct StoredWal {
    /// When it was measured.
    pub measured_at: Option<Instant>,
    /// How long that took.
    pub took: Duration,
    /// Bytes on disk.
    pub bytes: u64,
    /// How many segments there are.
    pub segments: usize,
    /// When the newest one was written last.
    pub written_at: Option<Timestamp>,
}

/// A directory of a server, and the file system that it is on.
#[derive(Clone, Debug)]
pub struct StoreDisk {
    /// `wal` or `backup`.
    pub directory: &'static str,
    /// Of the file system.
    pub space: Space,
    /// How much of it backups leave free.
    pub reserve: u64,
    /// The days until no more than that is free, if known.
    pub days_left: Option<u64>,
}

/// A complete backup.
#[derive(Clone, Debug)]
pub struct StoredBackup {
    /// Its label.
    pub label: Label,
    /// Whether it can be restored.
    pub valid: bool,
    /// Whether it is retained.
    pub retained: bool,
    /// Of the server.
    pub version: PgVersion,
    /// Bytes on disk.
    pub stored_bytes: u64,
    /// Bytes when restored.
    pub plain_bytes: u64,
    /// By how many bytes it is larger than the backup before it, when restored.
    pub growth: i64,
    /// Where recovery starts.
    pub start: WalPosition,
    /// The checkpoint that recovery starts from.
    pub checkpoint: Lsn,
    /// Where recovery is consistent.
    pub end: WalPosition,
    /// How long it took, seconds.
    pub elapsed: f64,
    /// How long its steps took.
    pub steps: StepTimes,
    /// When it ended, by the clock of the server; of a backup of the C program, when it began.
    pub taken_at: Option<Timestamp>,
}

impl Inventory {
    /// The newest valid backup.
    pub fn newest_valid(&self) -> Option<&StoredBackup> {
        self.backups.iter().rev().find(|backup| backup.valid)
    }

    /// The oldest valid backup.
    pub fn oldest_valid(&self) -> Option<&StoredBackup> {
        self.backups.iter().find(|backup| backup.valid)
    }
}
