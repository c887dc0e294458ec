//! What an operation works on, and what excludes what.

use crate::unit::Label;

/// What an operation works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// It adds a backup to the server.
    NewBackup,
    /// As [`Scope::NewBackup`], and other backups must stay where they are: the new one gets
    /// symbolic links to them.
    NewLinkedBackup,
    /// It may read any backup, such as while it chooses one.
    ReadAny,
    /// It reads one backup.
    Read(Label),
    /// It changes or removes one backup.
    Change(Label),
    /// It decides which backups are removed; each removal is a [`Scope::Change`].
    Retention,
    /// It removes WAL from the archive, in steps: others wait for the end of a step.
    PruneWal,
    /// It verifies one backup by the schedule, or with `None` the WAL archive. As it may take
    /// hours, WAL is removed meanwhile: what a kept backup needs is not. Who removes the backup
    /// waits until it is given up.
    Verify(Option<Label>),
}

/// When two operations on the same server exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excludes {
    /// They run at the same time.
    Never,
    /// Only one of them runs at a time.
    Always,
    /// Only one of them runs at a time if both are about the same backup.
    SameBackup,
}

/// What excludes what, in the order of the variants of [`Scope`]. A new backup is listed when it is
/// complete, so it disturbs nobody; two at a time would wait for the same WAL and load the server
/// twice. Complete backups are not removed while they are read or get links, and one after the
/// other: whether one may go depends on those that stay. While a backup is read or taken no WAL is
/// removed, which a restore or the new backup may need.
pub(super) const EXCLUSIONS: [[Excludes; 8]; 8] = {
    use Excludes::{Always, Never, SameBackup};
    [
        [Always, Always, Never, Never, Never, Never, Always, Never],
        [Always, Always, Never, Never, Always, Never, Always, Never],
        [Never, Never, Never, Never, Always, Never, Always, Never],
        [Never, Never, Never, Never, SameBackup, Never, Always, Never],
        [
            Never, Always, Always, SameBackup, Always, Never, Never, SameBackup,
        ],
        [Never, Never, Never, Never, Never, Always, Never, Never],
        [Always, Always, Always, Always, Never, Never, Always, Never],
        [Never, Never, Never, Never, SameBackup, Never, Never, Never],
    ]
};

impl Scope {
    fn index(&self) -> usize {
        match self {
            Scope::NewBackup => 0,
            Scope::NewLinkedBackup => 1,
            Scope::ReadAny => 2,
            Scope::Read(_) => 3,
            Scope::Change(_) => 4,
            Scope::Retention => 5,
            Scope::PruneWal => 6,
            Scope::Verify(_) => 7,
        }
    }

    fn label(&self) -> Option<&Label> {
        match self {
            Scope::NewBackup
            | Scope::NewLinkedBackup
            | Scope::ReadAny
            | Scope::Retention
            | Scope::PruneWal => None,
            Scope::Read(label) | Scope::Change(label) => Some(label),
            Scope::Verify(label) => label.as_ref(),
        }
    }

    /// Whether an operation on `other` must not run at the same time.
    pub(super) fn excludes(&self, other: &Scope) -> bool {
        let row = EXCLUSIONS.get(self.index());
        match row.and_then(|row| row.get(other.index())) {
            Some(Excludes::Never) => false,
            Some(Excludes::SameBackup) => self.label() == other.label(),
            Some(Excludes::Always) | None => true,
        }
    }
}
