//! What a line of the log looks like: `PREFIX LABEL FILE:LINE MESSAGE`.

use std::fmt::Write;

use log::Level;

/// How much a message matters: a level of the `log` crate, or the end of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The daemon cannot go on.
    Fatal,
    /// As the `log` crate has it.
    Level(Level),
}

/// A message and where it comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// How much it matters.
    pub severity: Severity,
    /// The source file.
    pub file: &'a str,
    /// The line in it.
    pub line: u32,
    /// What it says, on one line.
    pub text: &'a str,
}

/// Whether the level stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// For a terminal.
    Yes,
    /// For a file.
    No,
}

/// The line for a message, with its line feed.
pub(super) fn layout(prefix: &str, message: &Message<'_>, colour: Colour) -> String {
    let label = message.severity.label();
    let file = message.file.rsplit('/').next().unwrap_or_default();
    let (line, text) = (message.line, message.text);
    match colour {
        Colour::No => format!("{prefix} {label:<5} {file}:{line} {text}\n"),
        Colour::Yes => {
            let code = message.severity.colour();
            format!("{prefix} \x1b[{code}m{label:<5}\x1b[0m \x1b[90m{file}:{line}\x1b[0m {text}\n")
        }
    }
}

/// Makes one line of a text: control characters become `\n`, `\t`, `\x1b`.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // Line and paragraph separators end a line for some viewers.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                // A String takes everything.
                let _ = write!(line, "\\x{:02x}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line
}

impl Severity {
    fn label(self) -> &'static str {
        match self {
            Severity::Fatal => "FATAL",
            Severity::Level(Level::Error) => "ERROR",
            Severity::Level(Level::Warn) => "WARN",
            Severity::Level(Level::Info) => "INFO",
            Severity::Level(Level::Debug) => "DEBUG",
            Severity::Level(Level::Trace) => "TRACE",
        }
    }

    /// The colour of the label, an SGR code (ECMA-48).
    fn colour(self) -> u8 {
        match self {
            Severity::Fatal => 35,
            Severity::Level(Level::Error) => 31,
            Severity::Level(Level::Warn) => 91,
            Severity::Level(Level::Info) => 32,
            Severity::Level(Level::Debug) => 36,
            Severity::Level(Level::Trace) => 37,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_c_program() {
        let message = Message {
            severity: Severity::Level(Level::Warn),
            file: "src/daemon/start.rs",
            line: 7,
            text: "disk is slow",
        };
        assert_eq!(
            layout("2026-01-02 03:04:05", &message, Colour::No),
            "2026-01-02 03:04:05 WARN  start.rs:7 disk is slow\n"
        );
        assert_eq!(
            layout("x", &message, Colour::Yes),
            "x \x1b[91mWARN \x1b[0m \x1b[90mstart.rs:7\x1b[0m disk is slow\n"
        );
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(
            one_line("a\nb\r\tc\x1b[31m\0d\u{85}"),
            "a\\nb\\r\\tc\\x1b[31m\\x00d\\x85"
        );
        assert_eq!(one_line("größe \\ 100%"), "größe \\ 100%");
    }
}
