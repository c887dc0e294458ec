//! Which program wrote a backup.

use std::io::Read;
use std::path::Path;

use super::layout::{MANIFEST, SUMS, SUMS_OF_C};
use crate::error::{Failure, Kind};
use crate::storage::open_file;

/// Which program wrote a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This one.
    Own,
    /// The C program; it is listed, but cannot be read yet.
    C,
}

impl Origin {
    /// Tells it from the files of a backup in the directory that both programs have used: each has its own list of digests,
    /// and the manifest of this program has a JSON object in each line, where the C program has a path and a comma.
    pub(super) fn of(directory: &Path) -> Origin {
        let exists = |name: &str| directory.join(name).symlink_metadata().is_ok();
        let mut first = [0];
        let json = open_file(&directory.join(MANIFEST))
            .and_then(|mut file| file.read_exact(&mut first))
            .is_ok_and(|()| first == *b"{");
        if json || exists(SUMS) && !exists(SUMS_OF_C) {
            Origin::Own
        } else {
            Origin::C
        }
    }

    /// Why a backup of the C program can be neither restored nor verified.
    pub(super) fn unreadable(label: &dyn std::fmt::Display) -> Failure {
        let message = format!(
            "the backup {label} was written by the C program; this version lists it but cannot read it yet"
        );
        Failure::new(Kind::Unsupported, message)
            .hint("keep the C program to restore it, or name a backup of this one")
    }
}
