//! A position in the WAL of a timeline.

use super::{Lsn, Timeline};

/// A position in the WAL of one timeline. The WAL of two timelines differs from where they part, so
/// that an LSN alone does not say which WAL is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WalPosition {
    /// The timeline.
    pub timeline: Timeline,
    /// The position on it.
    pub lsn: Lsn,
}

impl Timeline {
    /// A position on this timeline.
    pub const fn at(self, lsn: Lsn) -> WalPosition {
        WalPosition {
            timeline: self,
            lsn,
        }
    }
}
