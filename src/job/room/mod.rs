//! Room on the disk: whether a backup fits before it starts and while it runs, and what is done
//! when the disk fills.
//!
//! A part of the file system is reserved for WAL (`reserve_space`), which must go on when backups
//! cannot. `estimate` decides, without a disk; `check` refuses a backup that does not fit; `watch`
//! stops one that reaches the reserve; `monitor` runs by the schedule.

mod check;
mod estimate;
mod monitor;
mod watch;

pub(crate) use check::{ClusterSize, claim};
pub(crate) use monitor::{INTERVAL, monitor, room};
pub(crate) use watch::Watch;
