//! Telling people what went wrong.

use std::io::{self, Write};

use crate::config::{Config, Files, Loaded};
use crate::error::{Failure, Kind};

/// The operation failed.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
pub const USAGE: u8 = 2;

/// Prints a failure on standard error: `program: message`, and a line with the hint.
pub fn report(program: &str, failure: &Failure) {
    let mut text = format!("{program}: {failure}\n");
    if let Some(hint) = failure.advice() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    complain(&text);
}

/// Reads the configuration for `program`; all problems but the last are printed here.
pub fn load(program: &str, files: &Files) -> Result<Loaded, Failure> {
    Config::load(files).map_err(|mut problems| {
        let last = problems.0.pop();
        for problem in &problems.0 {
            let mut failure = Failure::new(Kind::Configuration, problem.to_string());
            if let Some(hint) = &problem.hint {
                failure = failure.hint(hint);
            }
            report(program, &failure);
        }
        problems.0 = last.into_iter().collect();
        problems.into()
    })
}

/// Prints a text on standard error, of lines in which nothing does something to a terminal: names of files and what
/// servers say may be anybody's. Where standard error is gone there is nobody to tell.
pub fn complain(text: &str) {
    let lines: Vec<String> = text.split('\n').map(clean).collect();
    let _ = io::stderr().lock().write_all(lines.join("\n").as_bytes());
}

/// A line of text without what would do something to the terminal.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Prints a text on standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => Kind::Network,
            _ => Kind::Io,
        };
        Failure::new(kind, error.to_string()).context("write to standard output")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_does_something_to_a_terminal() {
        let text = clean("a\x1b]0;title\x07\u{9b}31mb\r\tc\u{7f}ü");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.starts_with('a') && text.ends_with('ü'));
    }
}
