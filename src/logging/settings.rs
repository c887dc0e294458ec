//! The settings of the log.

use std::path::PathBuf;

use crate::unit::{ByteSize, Span};

/// The settings of the log, from the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The destination of messages.
    pub kind: LogKind,
    /// The lowest level that is logged.
    pub level: LogLevel,
    /// The path of the log file, a `strftime` pattern in local time.
    pub path: PathBuf,
    /// The age at which the file is rotated; `None` for never.
    pub rotation_age: Option<Span>,
    /// The size at which the file is rotated; `None` for never.
    pub rotation_size: Option<ByteSize>,
    /// The prefix of each line, a `strftime` pattern in local time.
    pub line_prefix: String,
    /// Whether an existing file is appended to or truncated.
    pub mode: LogMode,
}

/// The destination of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogKind {
    /// The standard error stream.
    #[default]
    Console,
    /// The file at the path of the settings.
    File,
    /// The syslog daemon, by its Unix socket.
    Syslog,
}

/// The lowest level that is logged, `log_level`.
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

/// How an existing log file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogMode {
    /// New messages are appended.
    #[default]
    Append,
    /// The file is truncated.
    Create,
}
