//! Retention: removes backups that no rule keeps, and then the WAL that no backup needs.
//!
//! `policy` decides, without a clock or a disk; `pass` removes; `wal` removes WAL; `run` is one run
//! for a server, by the schedule or by the command.

mod followed_path;
mod pass;
mod policy;
mod report;
mod run;
mod wal;

pub(crate) use followed_path::FollowedPath;
pub(crate) use pass::{BackupOutcome, Removal};
pub(crate) use policy::Decision;
pub(crate) use run::{Options, at_once, prune_wal, run, scheduled};

#[cfg(test)]
mod tests;
