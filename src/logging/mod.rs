//! The back end of the `log` macros: console, file with rotation, syslog.
//!
//! A message is one line: `PREFIX LABEL FILE:LINE MESSAGE`. A failure to write the log is reported
//! once on standard error and does not stop the program.

mod counters;
mod file;
mod line;
mod logger;
mod pattern;
mod settings;
mod syslog;

pub use counters::MessageCounts;
pub use logger::{check, counts, fatal, reopen, start};
pub use pattern::check_pattern;
#[cfg(test)]
pub use settings::LogLevel;
pub use settings::{LogKind, LogMode, LogSettings};
