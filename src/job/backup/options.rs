//! What a backup is asked, and what it answers.

use crate::repository::Backup;

/// What a backup is asked.
#[derive(Clone, Debug, Default)]
pub struct Options {}

/// What a backup did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The new backup.
    pub backup: Backup,
}
