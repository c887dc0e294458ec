//! Files of a staging tree that is synced and renamed as a whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::sys;
use crate::unit::to_u64;

/// Bytes after which the kernel is asked to start writeback.
pub(super) const WRITEBACK_INTERVAL: u64 = 8 << 20;

/// A new file in a tree that is synced and renamed as a whole (see [`super::Filesystem`]). Writes
/// go to the disk in the background, so that the sync at the end is short. It must be closed with
/// [`StagedFile::close`].
pub struct StagedFile {
    file: File,
    path: PathBuf,
    written: u64,
    writeback_started: u64,
}

impl StagedFile {
    /// Creates the file with the permission bits `mode`; fails if it exists.
    pub fn create(path: &Path, mode: u32) -> Result<StagedFile> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .with_context(|| format!("create {}", path.display()))?;
        Ok(StagedFile {
            file,
            path: path.to_owned(),
            written: 0,
            writeback_started: 0,
        })
    }

    /// Closes the file. If the tree will be synced file by file, this one is synced now by the
    /// descriptor that wrote it: after the close the kernel may drop a write error.
    pub fn close(self) -> Result<()> {
        if sys::syncfs_is_reliable(&self.file) {
            return Ok(());
        }
        let synced = self.file.sync_all();
        synced.with_context(|| format!("sync {}", self.path.display()))
    }

    /// The open file, to set its times or its owner.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += to_u64(count);
        if self.written - self.writeback_started >= WRITEBACK_INTERVAL {
            sys::start_writeback(
                &self.file,
                self.writeback_started,
                self.written - self.writeback_started,
            );
            self.writeback_started = self.written;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
