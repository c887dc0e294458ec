//! Whether a server is safe, that is, could be restored as it is now, and why not.
//!
//! `facts` is what is known of a server, `thresholds` the limits that can be set, and `judge`
//! decides: a function of both and of the time, which `status`, `check` and the Nagios service
//! share.

mod facts;
mod judge;
mod thresholds;

pub use facts::{DamagedBackup, Facts, Moment, Room};
pub use judge::{Problem, Severity, problems};
pub use thresholds::{LIMITS, LimitRow, Limits, Measure, Thresholds, Worse};

#[cfg(test)]
mod tests;
