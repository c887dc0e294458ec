//! Preallocated segment files.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::names::SPARE_PREFIX;
use crate::error::{Context, Result};
use crate::unit::{SegmentSize, to_u64};

/// Distinguishes the spare segments of this process; those of earlier processes are removed at the
/// start.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// Zeros written by one call, bytes: a page of WAL. Larger writes give the page cache larger
/// folios, and each later write and sync of a few bytes walks the whole folio.
const WRITE_SIZE: usize = 8 << 10;

/// Limit for names that are tried.
const MAX_ATTEMPTS: usize = 1000;

/// A preallocated file of zeros on stable storage that will become a segment: its blocks are
/// allocated and written, so that a later `fdatasync` has no metadata to write. It is hidden
/// (`.spare.<n>`), and is removed when it is dropped unused.
#[derive(Debug)]
pub struct SpareSegment {
    file: File,
    path: PathBuf,
    size: SegmentSize,
    used: bool,
}

impl SpareSegment {
    /// Creates one in `directory`. Takes as long as the disk needs to write a segment.
    pub fn create(directory: &Path, size: SegmentSize) -> Result<SpareSegment> {
        let (file, path) = new_file(directory)?;
        let action = || format!("prepare {}", path.display());
        // From here on the drop removes the file on an error.
        let spare = SpareSegment {
            file,
            path: path.clone(),
            size,
            used: false,
        };
        write_zeros(&mut &spare.file, size.bytes()).with_context(action)?;
        let synced = spare.file.sync_all();
        synced.with_context(|| format!("sync {}", path.display()))?;
        Ok(spare)
    }

    /// Creates one without room: the file is empty and grows as it is written. A sync makes its
    /// size durable too (POSIX: data integrity completion has what is needed to read the data).
    pub(super) fn create_empty(directory: &Path, size: SegmentSize) -> Result<SpareSegment> {
        let (file, path) = new_file(directory)?;
        Ok(SpareSegment {
            file,
            path,
            size,
            used: false,
        })
    }

    /// The segment size that it was created for.
    pub fn size(&self) -> SegmentSize {
        self.size
    }

    /// Renames it to `path`, which may exist; not durable until the directory is synced.
    pub(super) fn rename_to(mut self, path: &Path) -> Result<File> {
        let action = || format!("rename {} to {}", self.path.display(), path.display());
        let file = self.file.try_clone().with_context(action)?;
        std::fs::rename(&self.path, path).with_context(action)?;
        self.used = true;
        Ok(file)
    }
}

impl Drop for SpareSegment {
    fn drop(&mut self) {
        if !self.used
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            log::warn!("remove {}: {error}", self.path.display());
        }
    }
}

/// Creates an empty file under an unused name: an existing name may be a link out of the directory.
fn new_file(directory: &Path) -> Result<(File, PathBuf)> {
    let mut attempts = 0;
    loop {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{SPARE_PREFIX}{number}"));
        let made = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        attempts += 1;
        match made {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && attempts < MAX_ATTEMPTS => {}
            made => {
                let file = made.with_context(|| format!("prepare {}", path.display()))?;
                return Ok((file, path));
            }
        }
    }
}

/// Writes `count` zeros.
pub(super) fn write_zeros(to: &mut impl Write, count: u64) -> std::io::Result<()> {
    let zeros = vec![0; WRITE_SIZE];
    let mut left = count;
    while left > 0 {
        let length = usize::try_from(left).map_or(WRITE_SIZE, |left| left.min(WRITE_SIZE));
        to.write_all(zeros.get(..length).unwrap_or(&zeros))?;
        left = left.saturating_sub(to_u64(length));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_spare_name_is_not_overwritten() {
        let name = format!("pgmoneta-spare-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let key = directory.join("master.key");
        std::fs::write(&key, b"secret").unwrap();
        let next = NEXT_NUMBER.load(Ordering::Relaxed);
        for number in next..next + 100 {
            let link = directory.join(format!(".spare.{number}"));
            std::os::unix::fs::symlink(&key, link).unwrap();
        }
        let size = SegmentSize::new(1 << 20).unwrap();
        drop(SpareSegment::create(&directory, size).unwrap());
        assert_eq!(std::fs::read(&key).unwrap(), b"secret");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
