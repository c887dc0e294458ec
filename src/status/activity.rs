//! The types of operations.

/// An operation on the backups of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// Takes a backup.
    Backup,
    /// Restores a backup.
    Restore,
    /// Verifies a backup.
    Verify,
    /// Removes a backup.
    Delete,
    /// Removes old backups, and WAL that none needs.
    Retention,
    /// Writes a backup to an archive.
    Archive,
}

impl Activity {
    /// Whether only one runs at a time for a server: two archives of one backup would write to the
    /// same file.
    pub(super) fn is_alone(self) -> bool {
        self == Activity::Archive
    }
}
