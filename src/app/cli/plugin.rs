//! The command `check` as a Nagios plugin: whatever goes wrong is the state UNKNOWN, in a line on
//! standard output.

use std::ffi::OsString;

use super::arguments::command_line;
use crate::app::report::print;
use crate::error::Error;
use crate::protocol::{CHECK, COMMANDS, CheckState, Command, Output, unknown_state};

/// Whether a command is run by Nagios.
pub(super) fn is_plugin(command: &Command) -> bool {
    *command == CHECK
}

/// Whether a command line that cannot be parsed is one of such a command.
pub(super) fn is_requested(arguments: impl Iterator<Item = OsString>) -> bool {
    let lenient = command_line(COMMANDS).ignore_errors(true);
    let matches = lenient.try_get_matches_from(arguments);
    let word = matches.as_ref().ok();
    let word = word.and_then(|matches| matches.subcommand_name());
    word == Some(CHECK.words.0)
}

/// The output for an error, with the state UNKNOWN.
pub(super) fn unknown(error: &Error) -> String {
    unknown_state(&error.message_with_hint())
}

/// Prints that output, unless the output format is another one; returns the exit status.
pub(super) fn report_unknown(error: &Error, output: Output) -> u8 {
    if output == Output::Text {
        // There is no other place to say it.
        let _ = print(&unknown(error));
    }
    CheckState::Unknown.number()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_found_in_an_invalid_command_line() {
        for (line, expected) in [
            ("check --nonsense", true),
            ("-c check ping --nonsense", false),
            ("-c /x --format json check a b c", true),
            ("check --format nonsense", true),
            ("check --warning", true),
            ("list-backup check", false),
            ("nonsense", false),
            ("", false),
        ] {
            let words = line.split(' ').filter(|word| !word.is_empty());
            let words = std::iter::once("pgmoneta-cli").chain(words);
            assert_eq!(is_requested(words.map(OsString::from)), expected, "{line}");
        }
    }
}
