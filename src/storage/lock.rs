//! One writer at a time for the files of a directory.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::atomic::parent;
use crate::error::{Context, Failure, Result};

/// The right to change the files of a directory, among programs that ask for it; ends when it is dropped, or with
/// the process.
pub struct DirectoryLock {
    _directory: File,
}

impl DirectoryLock {
    /// Waits for the right to change the file at `path`.
    pub fn wait(path: &Path) -> Result<DirectoryLock> {
        let directory = parent(path);
        let doing = || format!("lock directory {}", directory.display());
        let file = File::open(directory).with_context(doing)?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                // NFS has no locks for directories. Then two administrators must not work at the same instant.
                Ok(()) | Err(Errno::BADF | Errno::NOLCK | Errno::OPNOTSUPP) => {
                    return Ok(DirectoryLock { _directory: file });
                }
                Err(error) => return Err(Failure::from(error).context(doing())),
            }
        }
    }
}
