//! Segment files made ahead of time.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Context, Result};
use crate::unit::SegmentSize;

/// Distinguishes the spares of one process; those of earlier processes are swept at the start.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// How many zeros are written by one call: a page of WAL. Larger writes give the page cache larger folios, and each later
/// write and sync of a few bytes walks the whole folio.
const BLOCK: usize = 8 << 10;

/// A file of zeros on stable storage that is to become a segment: its blocks are allocated and written, so that a later
/// `fdatasync` has no metadata to write. It is hidden (`.spare.<n>`), and goes away when it is dropped unused.
#[derive(Debug)]
pub struct Spare {
    file: File,
    path: PathBuf,
    size: SegmentSize,
    used: bool,
}

impl Spare {
    /// Makes one in `directory`. Takes as long as the disk needs for a segment.
    pub fn prepare(directory: &Path, size: SegmentSize) -> Result<Spare> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".spare.{number}"));
        let doing = || format!("prepare {}", path.display());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(doing)?;
        // From here on the file is removed if something fails.
        let spare = Spare {
            file,
            path: path.clone(),
            size,
            used: false,
        };
        fill_zeros(&mut &spare.file, size.bytes()).with_context(doing)?;
        let synced = spare.file.sync_all();
        synced.with_context(|| format!("sync {}", path.display()))?;
        Ok(spare)
    }

    /// The size of the segment that it can become.
    pub fn size(&self) -> SegmentSize {
        self.size
    }

    /// Gives it the name `path`, in place of a file that may be there; not durable until the directory is synced.
    pub(super) fn become_file(mut self, path: &Path) -> Result<File> {
        let doing = || format!("rename {} to {}", self.path.display(), path.display());
        let file = self.file.try_clone().with_context(doing)?;
        std::fs::rename(&self.path, path).with_context(doing)?;
        self.used = true;
        Ok(file)
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if !self.used
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            log::warn!("remove {}: {error}", self.path.display());
        }
    }
}

/// Writes `count` zeros.
pub(super) fn fill_zeros(to: &mut impl Write, count: u64) -> std::io::Result<()> {
    let zeros = vec![0; BLOCK];
    let mut left = count;
    while left > 0 {
        let length = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        to.write_all(zeros.get(..length).unwrap_or(&zeros))?;
        left = left.saturating_sub(u64::try_from(length).unwrap_or(left));
    }
    Ok(())
}
