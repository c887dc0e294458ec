//! Segment files made ahead of time.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
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

/// How many names are tried.
const ATTEMPTS: usize = 1000;

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
        let (file, path) = new_file(directory)?;
        let doing = || format!("prepare {}", path.display());
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

/// Makes an empty file of a name that was free: what has the name already may be a link to a file of ours that is none of
/// this directory.
fn new_file(directory: &Path) -> Result<(File, PathBuf)> {
    let mut attempts = 0;
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".spare.{number}"));
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        attempts += 1;
        match made {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempts < ATTEMPTS => {}
            made => {
                let file = made.with_context(|| format!("prepare {}", path.display()))?;
                return Ok((file, path));
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_name_of_a_spare_is_left_alone() {
        let name = format!("pgmoneta-spare-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let key = directory.join("master.key");
        std::fs::write(&key, b"secret").unwrap();
        let next = NUMBER.load(Ordering::Relaxed);
        for number in next..next + 100 {
            let link = directory.join(format!(".spare.{number}"));
            std::os::unix::fs::symlink(&key, link).unwrap();
        }
        let size = SegmentSize::new(1 << 20).unwrap();
        drop(Spare::prepare(&directory, size).unwrap());
        assert_eq!(std::fs::read(&key).unwrap(), b"secret");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
