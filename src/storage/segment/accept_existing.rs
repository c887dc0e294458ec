//! Accepting existing bytes of a partial segment.

use std::os::unix::fs::FileExt;

use super::SegmentFile;
use super::files::BLOCK_SIZE;
use crate::error::{Context, Result};
use crate::storage::{Durable, PinnedPath};
use crate::sys;
use crate::unit::{Lsn, first_mut, to_u64, to_usize};

impl SegmentFile {
    /// Accepts bytes from earlier, so that they need not be received again. All of them are
    /// rewritten and synced: after a failed sync the kernel may return bytes that are not on disk
    /// and treat them as clean. Then `check` reads the file by its name and returns the end of the
    /// valid bytes, at most the end of the segment; these are durable, and bytes after them may be
    /// overwritten with others. `None` changes nothing.
    pub fn accept_existing(
        &mut self,
        check: impl FnOnce() -> Result<Option<Lsn>>,
    ) -> Result<Option<Durable<Lsn>>> {
        self.check_usable()?;
        let start = self.segment.start(self.size);
        let length = self.received.since(start);
        if let Err(failure) = self.rewrite(length) {
            self.failed = true;
            return Err(failure);
        }
        sys::drop_page_cache(&self.file);
        sys::read_ahead(&self.file, length);
        let Some(end) = check()? else {
            return Ok(None);
        };
        let end = end.clamp(start, self.segment.end(self.size));
        self.received = self.received.max(end);
        (self.immutable_end, self.durable) = (end, end);
        Ok(Some(Durable::after_sync(end)))
    }

    /// Checks that the path leads to the file that is written: WAL in a removed or replaced file is
    /// lost, even if it is synced. [`ErrorKind::NotFound`] marks it as failed, and
    /// [`SegmentFile::start_over`] recreates it.
    ///
    /// [`ErrorKind::NotFound`]: crate::error::ErrorKind::NotFound
    pub fn check_not_replaced(&mut self) -> Result<()> {
        if self.failed {
            return Ok(());
        }
        let checked = PinnedPath::check_identity(&self.path, self.identity);
        self.failed = checked.is_err();
        checked
    }

    /// Rewrites the first `length` bytes with the same content, and syncs.
    fn rewrite(&self, length: u64) -> Result<()> {
        let mut block = vec![0; to_usize(BLOCK_SIZE)];
        let mut offset = 0;
        while offset < length {
            let count =
                usize::try_from(length - offset).map_or(block.len(), |left| left.min(block.len()));
            let part = first_mut(&mut block, count);
            self.file
                .read_exact_at(part, offset)
                .and_then(|()| self.file.write_all_at(part, offset))
                .with_context(|| format!("write {} again", self.path.display()))?;
            offset += to_u64(count);
        }
        self.file
            .sync_data()
            .with_context(|| format!("sync {}", self.path.display()))
    }
}
