//! Room on the disk: whether a backup fits before it starts and while it runs.
//!
//! A part of the file system is reserved for WAL (`reserve_space`), which must go on when backups
//! cannot. `estimate` decides, without a disk; `check` refuses a backup that does not fit; `watch`
//! stops one that reaches the reserve.

mod check;
mod estimate;
mod watch;

pub(crate) use check::claim;
pub(crate) use watch::Watch;
