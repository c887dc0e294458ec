//! Which program wrote a backup.

use std::io::Read;
use std::path::Path;

use super::layout::{C_BACKUP_SUMS, MANIFEST, SUMS};
use crate::storage::open_file;

/// Which program wrote a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This program.
    Own,
    /// The C program.
    C,
}

impl Origin {
    /// Detects the origin of a backup in the directory that both programs have used: each has its
    /// own file of digests, and the manifest of this program has a JSON object in each line, that
    /// of the C program a path and a comma.
    pub(super) fn detect(directory: &Path) -> Origin {
        let exists = |name: &str| directory.join(name).symlink_metadata().is_ok();
        let mut first = [0];
        let json = open_file(&directory.join(MANIFEST))
            .and_then(|mut file| file.read_exact(&mut first))
            .is_ok_and(|()| first == *b"{");
        if json || exists(SUMS) && !exists(C_BACKUP_SUMS) {
            Origin::Own
        } else {
            Origin::C
        }
    }
}
