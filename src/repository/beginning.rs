//! Whether the WAL archive of a server may begin.
//!
//! A server removes WAL that was acknowledged. An archive without WAL has lost it, or it is a new one, or its file system is
//! not mounted: the files do not say which. So that an archive may begin is noted, and the note goes when there is WAL.

use super::Repository;
use super::layout::BEGINNING;
use crate::error::Result;
use crate::storage;
use crate::unit::Lsn;

/// What is in the file.
const TEXT: &str =
    "The WAL archive may begin. This file goes when there is WAL on stable storage.\n";

impl Repository {
    /// Whether the archive has the WAL that was acknowledged to a server whose slot begins at `restart`; `None` where the
    /// slot is missing or was never used. An archive that was received before must not be empty; one that was not, such as
    /// that of the C program, must reach to the slot.
    pub fn has_acknowledged_wal(&self, restart: Option<Lsn>) -> Result<bool> {
        let Some(wal) = self.wal()? else {
            return Ok(false);
        };
        let (segments, size) = (wal.segments()?, wal.segment_size());
        let Some(restart) = restart.filter(|_| !self.was_received()) else {
            return Ok(!segments.is_empty());
        };
        Ok(segments.iter().any(|file| {
            // The slot holds WAL from the start of the segment in which it begins.
            let start = file.segment.start(size);
            let end = file.segment.end(size);
            let next = if file.partial { start } else { end };
            restart < next || restart.since(next) < size.bytes()
        }))
    }

    /// Whether WAL was streamed to the archive before.
    pub fn was_received(&self) -> bool {
        matches!(self.followed_timeline(), Ok(Some(_)))
    }

    /// Notes, durably, that the archive may begin.
    pub fn allow_beginning(&self) -> Result<()> {
        if self.may_begin() {
            return Ok(());
        }
        self.check_place()?;
        storage::replace(&self.path().join(BEGINNING), TEXT.as_bytes())
    }

    /// Whether the archive may begin.
    pub fn may_begin(&self) -> bool {
        self.path().join(BEGINNING).exists()
    }

    /// Takes the note away: the archive has begun.
    pub fn end_beginning(&self) -> Result<()> {
        storage::remove_file(&self.path().join(BEGINNING))
    }
}
