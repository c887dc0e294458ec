//! Proving what is there already.

use std::os::unix::fs::FileExt;

use super::SegmentFile;
use super::files::BLOCK;
use crate::error::{Context, Result};
use crate::storage::{Durable, Place};
use crate::sys;
use crate::unit::Lsn;

impl SegmentFile {
    /// Proves what is there from earlier, so that it need not be received again. All of it is written once more and
    /// synced: after a sync that failed the kernel may show bytes that are not on disk, and take them for clean. Then
    /// `check` reads the file by its name and tells up to where its bytes are right, at most to the end of the segment;
    /// that much is proven, and those behind may be written over with other ones. `None` proves nothing and changes
    /// nothing.
    pub fn prove(
        &mut self,
        check: impl FnOnce() -> Result<Option<Lsn>>,
    ) -> Result<Option<Durable<Lsn>>> {
        self.check_usable()?;
        let start = self.segment.start(self.size);
        let length = self.received.since(start);
        if let Err(failure) = self.write_again(length) {
            self.failed = true;
            return Err(failure);
        }
        sys::forget_cached(&self.file);
        sys::read_ahead(&self.file, length);
        let Some(end) = check()? else {
            return Ok(None);
        };
        let end = end.clamp(start, self.segment.end(self.size));
        self.received = self.received.max(end);
        (self.known, self.durable) = (end, end);
        Ok(Some(Durable::proven(end)))
    }

    /// Checks that its name leads to the file that is written: one that was removed or replaced holds no WAL for anybody,
    /// however well it is synced. It counts as failed then, and starting over puts it back: [`Kind::NotFound`].
    ///
    /// [`Kind::NotFound`]: crate::error::Kind::NotFound
    pub fn check_there(&mut self) -> Result<()> {
        if self.failed {
            return Ok(());
        }
        let there = Place::leads_to(&self.path, self.identity);
        self.failed = there.is_err();
        there
    }

    /// Writes so many bytes from the start on again, with the same content, and syncs.
    fn write_again(&self, length: u64) -> Result<()> {
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(1)];
        let mut offset = 0;
        while offset < length {
            let count =
                usize::try_from(length - offset).map_or(block.len(), |left| left.min(block.len()));
            let part = block.get_mut(..count).unwrap_or_default();
            self.file
                .read_exact_at(part, offset)
                .and_then(|()| self.file.write_all_at(part, offset))
                .with_context(|| format!("write {} again", self.path.display()))?;
            offset += u64::try_from(count).unwrap_or(BLOCK);
        }
        self.file
            .sync_data()
            .with_context(|| format!("sync {}", self.path.display()))
    }
}
