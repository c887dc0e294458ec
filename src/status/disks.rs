//! What is known of the file systems that hold the repository.

use super::Claims;

/// What is known of the file systems that hold the repository. Nothing is stored.
#[derive(Debug, Default)]
pub struct Disks {
    claims: Claims,
}

impl Disks {
    /// What running backups are expected to take.
    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }
}
