//! Permission to start an empty WAL archive.
//!
//! A server removes WAL that was confirmed as flushed. An archive without WAL is new, has lost its
//! WAL, or is not mounted. So `wal.begin` marks an archive that may start empty; it is removed once
//! WAL is on stable storage.

use super::Repository;
use super::layout::WAL_START;
use crate::error::Result;
use crate::storage;
use crate::unit::Lsn;

/// The content of `wal.begin`.
const TEXT: &str =
    "The WAL archive may start empty. This file is removed once WAL is on stable storage.\n";

impl Repository {
    /// Whether the archive has the WAL that was confirmed to a server whose slot has the
    /// restart_lsn `restart`; `None` if the slot is missing or was never used. An archive to which
    /// WAL was streamed must not be empty; another one, such as that of the C program, must reach
    /// to the slot.
    pub fn has_acknowledged_wal(&self, restart: Option<Lsn>) -> Result<bool> {
        let Some(wal) = self.wal()? else {
            return Ok(false);
        };
        let (segments, size) = (wal.segments()?, wal.segment_size());
        let Some(restart) = restart.filter(|_| !self.was_streamed()) else {
            return Ok(!segments.is_empty());
        };
        Ok(segments.iter().any(|file| {
            // The slot reserves WAL from the start of the segment with its restart_lsn.
            let start = file.segment.start(size);
            let end = file.segment.end(size);
            let next = if file.partial { start } else { end };
            restart < next || restart.since(next) < size.bytes()
        }))
    }

    /// Whether WAL was streamed to the archive before.
    pub fn was_streamed(&self) -> bool {
        matches!(self.followed_timeline(), Ok(Some(_)))
    }

    /// Creates `wal.begin`, durably.
    pub fn allow_wal_start(&self) -> Result<()> {
        if self.may_start_wal() {
            return Ok(());
        }
        self.check_paths()?;
        storage::replace(&self.path().join(WAL_START), TEXT.as_bytes())
    }

    /// Whether `wal.begin` exists.
    pub fn may_start_wal(&self) -> bool {
        self.path().join(WAL_START).exists()
    }

    /// Removes `wal.begin`: the archive has WAL.
    pub fn clear_wal_start(&self) -> Result<()> {
        storage::remove_file(&self.path().join(WAL_START))
    }
}
