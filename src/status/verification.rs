//! What the verification by the schedule found since the start.

/// What the verification by the schedule found since the start of the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerificationState {
    /// How many backups it has verified.
    pub backups: u64,
    /// How many files of backups were bad.
    pub bad_files: u64,
    /// How many damaged places the archived WAL has; `None` if it was not verified yet.
    pub damaged_wal: Option<usize>,
}
