//! Files of a tree that is being built and gets its name as a whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::sys;

/// How many bytes are written before the kernel is asked to start writing them to disk.
const WRITEBACK: u64 = 8 << 20;

/// A new file in a tree that is synced and renamed as a whole (see [`super::Filesystem`]). Writes go to the disk in
/// the background, so that the sync at the end is short. It must be closed with [`StagedFile::close`].
pub struct StagedFile {
    file: File,
    path: PathBuf,
    written: u64,
    started: u64,
}

impl StagedFile {
    /// Makes the file with the permission bits `mode`; fails if it exists.
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
            started: 0,
        })
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Ends the file. Where the sync of the whole tree will have to go from file to file, this one is synced now, by the
    /// descriptor that wrote it: once it is closed the kernel may forget that a write failed.
    pub fn close(self) -> Result<()> {
        if sys::syncfs_is_proof(&self.file) {
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
        self.written += u64::try_from(count).unwrap_or(0);
        if self.written - self.started >= WRITEBACK {
            sys::start_writeback(&self.file, self.started, self.written - self.started);
            self.started = self.written;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
