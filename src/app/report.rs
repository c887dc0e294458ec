//! Output that the programs share: errors with hints on standard error, results on standard output.

use std::io::{self, Write};

use crate::config::{Config, Files, Loaded};
use crate::error::{Error, ErrorKind};

/// Exit status: the operation failed.
pub const EXIT_FAILURE: u8 = 1;
/// Exit status: the command line or the configuration is invalid.
pub const EXIT_USAGE: u8 = 2;

/// Prints an error on standard error: `program: message`, and a line with the hint.
pub fn report(program: &str, failure: &Error) {
    let mut text = format!("{program}: {failure}\n");
    if let Some(hint) = failure.hint() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    eprint(&text);
}

/// Reads the configuration for `program`. Prints all problems but the last, which is returned.
pub fn load_config(program: &str, files: &Files) -> Result<Loaded, Error> {
    Config::load(files).map_err(|mut problems| {
        let last = problems.0.pop();
        for problem in &problems.0 {
            let mut failure = Error::new(ErrorKind::Configuration, problem.to_string());
            if let Some(hint) = &problem.hint {
                failure = failure.with_hint(hint);
            }
            report(program, &failure);
        }
        problems.0 = last.into_iter().collect();
        problems.into()
    })
}

/// Prints a usage error, the help or the version, whatever the parser of the command line returned;
/// returns the exit status.
pub fn print_parsed(error: &clap::Error) -> u8 {
    match error.print() {
        Ok(()) => u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE),
        Err(_) => EXIT_FAILURE,
    }
}

/// Prints text on standard error, without control characters: file names and messages of servers
/// are untrusted. A failed write is ignored.
pub fn eprint(text: &str) {
    let lines: Vec<String> = text.split('\n').map(clean).collect();
    let _ = io::stderr().lock().write_all(lines.join("\n").as_bytes());
}

/// Replaces control characters, among them terminal escapes, by U+FFFD.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Prints text on standard output.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => ErrorKind::Network,
            _ => ErrorKind::Io,
        };
        Error::new(kind, error.to_string()).context("write to standard output")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        let text = clean("a\x1b]0;title\x07\u{9b}31mb\r\tc\u{7f}ü");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.starts_with('a') && text.ends_with('ü'));
    }
}
