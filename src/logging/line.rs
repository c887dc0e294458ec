//! The format of a line of the log: `PREFIX LABEL FILE:LINE MESSAGE`.

use std::fmt::Write;

use log::Level;

/// The severity of a message: a level of the `log` crate, or fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The daemon exits.
    Fatal,
    /// A level of the `log` crate.
    Level(Level),
}

/// A message and its source location.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    /// Its severity, shown as a label.
    pub severity: Severity,
    /// The path of the source file.
    pub file: &'a str,
    /// The line in the source file, from 1.
    pub line: u32,
    /// The text, escaped by [`one_line`].
    pub text: &'a str,
}

/// Whether the line is coloured with SGR sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// Coloured, for a terminal.
    Yes,
    /// Plain text, for a file.
    No,
}

/// Formats a message as a line, with line feed.
pub(super) fn format_line(prefix: &str, message: &Message<'_>, colour: Colour) -> String {
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

/// Escapes control characters (`\n`, `\t`, `\x1b`), so that the text is one line.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            // Some viewers break lines at line and paragraph separators.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                // Writing to a String cannot fail.
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
    fn lines_are_formatted_as_in_the_c_program() {
        let message = Message {
            severity: Severity::Level(Level::Warn),
            file: "src/daemon/start.rs",
            line: 7,
            text: "disk is slow",
        };
        assert_eq!(
            format_line("2026-01-02 03:04:05", &message, Colour::No),
            "2026-01-02 03:04:05 WARN  start.rs:7 disk is slow\n"
        );
        assert_eq!(
            format_line("x", &message, Colour::Yes),
            "x \x1b[91mWARN \x1b[0m \x1b[90mstart.rs:7\x1b[0m disk is slow\n"
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            one_line("a\nb\r\tc\x1b[31m\0d\u{85}"),
            "a\\nb\\r\\tc\\x1b[31m\\x00d\\x85"
        );
        assert_eq!(one_line("größe \\ 100%"), "größe \\ 100%");
    }
}
