//! The options and the result of a backup.

use crate::repository::Backup;

/// The options of a backup; none yet.
#[derive(Clone, Debug, Default)]
pub struct Options {}

/// The result of a backup.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The completed backup.
    pub backup: Backup,
}
