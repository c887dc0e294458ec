//! A lock on a directory.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::directory::parent;
use crate::error::{Context, Error, Result};

/// An advisory lock (`flock`) on a directory; released when it is dropped, or when the process
/// ends.
pub struct DirectoryLock {
    _directory: File,
}

impl DirectoryLock {
    /// Waits for the lock on the directory of `path`.
    pub fn acquire(path: &Path) -> Result<DirectoryLock> {
        let directory = parent(path);
        let action = || format!("lock directory {}", directory.display());
        let file = File::open(directory).with_context(action)?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                // NFS has no locks for directories: there two administrators must not write at the
                // same time.
                Ok(()) | Err(Errno::BADF | Errno::NOLCK | Errno::OPNOTSUPP) => {
                    return Ok(DirectoryLock { _directory: file });
                }
                Err(error) => return Err(Error::from(error).context(action())),
            }
        }
    }
}
