//! The lock files of the daemon.

use crate::storage;
use crate::sys::LockFile;

/// Removes a lock file while it is still locked, so that no other process locks a file that is
/// about to be removed. A file that replaced it stays.
pub(super) fn remove_lock_file(lock: LockFile) {
    if lock.is_in_place()
        && let Err(failure) = storage::remove_file(lock.path())
    {
        log::warn!("{failure}");
    }
    drop(lock);
}
