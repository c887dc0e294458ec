//! Comparing what the server sends with what it sent before.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::SegmentFile;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::unit::{Lsn, SegmentSize, first, to_u64, to_usize};

impl SegmentFile {
    /// The server must send the same WAL as in the archive up to here.
    pub fn immutable_end(&self) -> Lsn {
        let replaced = self
            .replaced
            .as_ref()
            .map(|replaced| replaced.immutable_end);
        replaced.map_or(self.immutable_end, |replaced| {
            replaced.max(self.immutable_end)
        })
    }

    /// Compares `bytes` with the existing ones, in the file and in the one that it will replace.
    pub(super) fn check_matches(&self, at: Lsn, bytes: &[u8]) -> Result<()> {
        let difference = first_difference(&self.file, self.size, (at, self.immutable_end), bytes)
            .with_context(|| format!("read {}", self.path.display()))?;
        if let Some(position) = difference {
            return Err(self.mismatch_error(position));
        }
        if let Some(replaced) = &self.replaced
            // An unreadable file is what the new one replaces.
            && let Ok(Some(position)) = first_difference(
                &replaced.file,
                self.size,
                (at, replaced.immutable_end),
                bytes,
            )
        {
            return Err(self.mismatch_error(position));
        }
        Ok(())
    }

    fn mismatch_error(&self, position: Lsn) -> Error {
        let path = self.partial_path();
        let message = format!(
            "the server's WAL differs at {position} from what it sent before ({} is kept)",
            path.display()
        );
        Error::new(ErrorKind::Corrupt, message).with_hint(
            "the server went back to an older state without a new timeline, or another copy of \
             the cluster took its place; connect to the server that the archive follows, or give \
             this one a section of its own",
        )
    }
}

/// Where `bytes` at `at` differ from those in the file before `immutable_end`. A zero byte in the
/// file may be one that never reached the disk before a power failure; any other one was sent by a
/// server.
fn first_difference(
    file: &File,
    size: SegmentSize,
    (at, immutable_end): (Lsn, Lsn),
    bytes: &[u8],
) -> Result<Option<Lsn>> {
    let count = to_usize(immutable_end.since(at));
    let bytes = first(bytes, count.min(bytes.len()));
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut existing = vec![0; bytes.len()];
    file.read_exact_at(&mut existing, size.offset(at))?;
    if existing == bytes {
        return Ok(None);
    }
    let differs = |(old, new): (&u8, &u8)| *old != 0 && old != new;
    let index = existing.iter().zip(bytes).position(differs);
    Ok(index.map(|index| at.advance(to_u64(index))))
}
