//! Whether the server sends again what it sent before.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::SegmentFile;
use crate::error::{Context, Failure, Kind, Result};
use crate::unit::{Lsn, SegmentSize};

impl SegmentFile {
    /// Up to where the server must have WAL, and the same as is there.
    pub fn known(&self) -> Lsn {
        let old = self.old.as_ref().map(|old| old.known);
        old.map_or(self.known, |old| old.max(self.known))
    }

    /// Compares `bytes` with those that are there, in the file and in the one that it is to replace.
    pub(super) fn check_same(&self, at: Lsn, bytes: &[u8]) -> Result<()> {
        let differs = differs(&self.file, self.size, (at, self.known), bytes)
            .with_context(|| format!("read {}", self.path.display()))?;
        if let Some(position) = differs {
            return Err(self.refusal(position));
        }
        if let Some(old) = &self.old
            // A new file mends one that cannot be read any more.
            && let Ok(Some(position)) = self::differs(&old.file, self.size, (at, old.known), bytes)
        {
            return Err(self.refusal(position));
        }
        Ok(())
    }

    fn refusal(&self, position: Lsn) -> Failure {
        let path = self.partial_path();
        let message = format!(
            "the server's WAL differs at {position} from what it sent before ({} is kept)",
            path.display()
        );
        Failure::new(Kind::Corrupt, message).hint(
            "the server went back to an older state without a new timeline, or another copy of the cluster took its \
             place; connect to the server that the archive follows, or give this one a section of its own",
        )
    }
}

/// Where `bytes`, which belong at `at`, differ from those in the file before `known`. A byte that is zero there may be one
/// that never reached the disk before a power cut; any other one was sent by a server.
fn differs(
    file: &File,
    size: SegmentSize,
    (at, known): (Lsn, Lsn),
    bytes: &[u8],
) -> Result<Option<Lsn>> {
    let count = usize::try_from(known.since(at)).unwrap_or(usize::MAX);
    let bytes = bytes.get(..count.min(bytes.len())).unwrap_or_default();
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut there = vec![0; bytes.len()];
    file.read_exact_at(&mut there, size.offset(at))?;
    if there == bytes {
        return Ok(None);
    }
    let differs = |(old, new): (&u8, &u8)| *old != 0 && old != new;
    let index = there.iter().zip(bytes).position(differs);
    Ok(index.map(|index| at.advance(u64::try_from(index).unwrap_or(0))))
}
