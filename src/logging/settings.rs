//! The settings of the log.

use std::path::PathBuf;

use crate::unit::{ByteSize, Keyword, Names, Span};

/// The settings of the log, from the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

impl Keyword for LogKind {
    const ALL: &'static [LogKind] = &[LogKind::Console, LogKind::File, LogKind::Syslog];

    fn names(self) -> Names {
        match self {
            LogKind::Console => ("console", &[]),
            LogKind::File => ("file", &[]),
            LogKind::Syslog => ("syslog", &[]),
        }
    }
}

impl Keyword for LogLevel {
    const ALL: &'static [LogLevel] = &[
        LogLevel::Fatal,
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
        LogLevel::Trace,
    ];

    fn names(self) -> Names {
        match self {
            LogLevel::Fatal => ("fatal", &[]),
            LogLevel::Error => ("error", &[]),
            LogLevel::Warn => ("warn", &[]),
            LogLevel::Info => ("info", &[]),
            LogLevel::Debug => ("debug", &["debug1"]),
            LogLevel::Trace => ("debug2", &["debug3", "debug4", "debug5"]),
        }
    }
}

impl Keyword for LogMode {
    const ALL: &'static [LogMode] = &[LogMode::Append, LogMode::Create];

    fn names(self) -> Names {
        match self {
            LogMode::Append => ("append", &["a"]),
            LogMode::Create => ("create", &["c"]),
        }
    }
}
