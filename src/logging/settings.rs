//! What the configuration says of the log.

use std::path::PathBuf;

use crate::unit::{ByteSize, Span};

/// Where the log goes, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The destination.
    pub kind: LogKind,
    /// The least important level that is logged.
    pub level: LogLevel,
    /// The path of the log file, a `strftime` pattern in local time.
    pub path: PathBuf,
    /// The age at which the file is reopened; `None` for never.
    pub rotation_age: Option<Span>,
    /// The size at which the file is reopened; `None` for never.
    pub rotation_size: Option<ByteSize>,
    /// The front of each line, a `strftime` pattern in local time.
    pub line_prefix: String,
    /// Whether an existing file is kept.
    pub mode: LogMode,
}

/// The destination of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogKind {
    /// Standard error.
    #[default]
    Console,
    /// A file.
    File,
    /// The system's log.
    Syslog,
}

/// The least important level that is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `debug2` to `debug5`.
    Trace,
    /// `debug`, `debug1`.
    Debug,
    /// `info`.
    #[default]
    Info,
    /// `warn`.
    Warn,
    /// `error`.
    Error,
    /// `fatal`.
    Fatal,
}

/// What happens to a log file that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogMode {
    /// It grows.
    #[default]
    Append,
    /// It begins anew.
    Create,
}
