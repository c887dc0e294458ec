//! Verification by the schedule: of all backups of a server, the one first whose last verification
//! is the oldest, and of the archived WAL. `verify wal` does the latter at once.
//!
//! `archive` reads the WAL, and `beginning` that around a switch to a timeline; `damage` says what
//! damaged WAL affects, and `restorable` says which interval it proves; `run` is one run for a
//! server. A backup with a file that is proven to be bad becomes invalid.

mod archive;
mod beginning;
mod by_hand;
mod damage;
mod due;
mod restorable;
mod run;

pub(crate) use by_hand::{Options, run};
pub(crate) use restorable::{Restorable, VerifiedArchive};
pub(crate) use run::{interval, scheduled};

#[cfg(test)]
mod tests;
