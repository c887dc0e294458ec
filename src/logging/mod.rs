//! The back end of the `log` macros: console, file with rotation, syslog.
//!
//! A message is one line: `PREFIX LABEL FILE:LINE MESSAGE`. A log that cannot be written is said so once on standard
//! error and never ends the program.

mod file;
mod line;
mod logger;
mod pattern;
mod settings;
mod syslog;

pub use logger::{fatal, reopen, start};
pub use pattern::check_pattern;
pub use settings::{LogKind, LogLevel, LogMode, LogSettings};
