//! The errors of the client itself, with their exit statuses and documents: bad usage, no daemon,
//! no response.

use std::ffi::OsStr;

use super::arguments::Arguments;
use super::client::ClientError;
use super::{plugin, translate};
use crate::app::report::{EXIT_FAILURE, EXIT_USAGE, eprint, print, report};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::{Codec, Command, Envelope, Members, Output, Response, Run, pretty};

/// The name of the program.
pub(super) const NAME: &str = "pgmoneta-cli";

/// Exit status: the daemon is not running.
const EXIT_NO_DAEMON: u8 = 3;

/// Exit status after Ctrl-C: 128 + SIGINT, as shells report it.
const EXIT_INTERRUPTED: u8 = 130;

/// An error of the client itself, with the exit status.
pub(super) struct ExitError {
    status: u8,
    error: Error,
}

impl From<Error> for ExitError {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Usage
            | ErrorKind::Configuration
            | ErrorKind::NotFound
            | ErrorKind::Permission => EXIT_USAGE,
            _ => EXIT_FAILURE,
        };
        ExitError { status, error }
    }
}

impl ExitError {
    /// For a request that got no response.
    pub(super) fn no_response(command: &Command, cause: ClientError) -> ExitError {
        match cause {
            ClientError::NoDaemon(error) => ExitError {
                status: EXIT_NO_DAEMON,
                error,
            },
            ClientError::Interrupted => ExitError {
                status: EXIT_INTERRUPTED,
                error: interrupted(command),
            },
            ClientError::Failed(error) => error.into(),
        }
    }

    /// Prints the error on standard error, and as a document on standard output if the output
    /// format is JSON, or as the output of a plugin; returns the exit status.
    pub(super) fn report(self, arguments: &Arguments, output: Output) -> u8 {
        if self.status == EXIT_INTERRUPTED {
            // End the line in which the terminal has echoed ^C.
            eprint("\n");
        }
        report(NAME, &self.error);
        let command = arguments.command;
        let status = match plugin::is_plugin(command) {
            true => plugin::report_unknown(&self.error, output),
            false => self.status,
        };
        match print_document(
            Some((command, server_member(arguments))),
            output,
            self.error,
        ) {
            Ok(()) => status,
            Err(error) => {
                report(NAME, &error);
                status
            }
        }
    }
}

/// Prints the document for a usage error, if the command line requests JSON, or the output of a
/// plugin; returns the exit status if it is one.
pub(super) fn print_usage_error(usage_error: &clap::Error) -> Result<Option<u8>> {
    let text = usage_error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let error = Error::new(ErrorKind::Usage, first.trim_start_matches("error: "));
    let output = requested_output(std::env::args_os());
    let requested = plugin::is_requested(std::env::args_os());
    let status = requested.then(|| plugin::report_unknown(&error, output));
    print_document(None, output, error)?;
    Ok(status)
}

/// The output format that a command line requests, even if it cannot be parsed.
fn requested_output(arguments: impl Iterator<Item = impl AsRef<OsStr>>) -> Output {
    let mut output = Output::Text;
    let mut value_follows = false;
    for argument in arguments {
        let text = argument.as_ref().to_string_lossy();
        let attached = text
            .strip_prefix("--format=")
            .or_else(|| text.strip_prefix("-F").filter(|rest| !rest.is_empty()));
        let value = if value_follows {
            Some(text.as_ref())
        } else {
            attached
        };
        output = match value {
            Some("json") => Output::Json,
            Some("raw") => Output::Raw,
            Some(_) => Output::Text,
            None => output,
        };
        value_follows = matches!(text.as_ref(), "-F" | "--format");
    }
    output
}

/// The request member `Server`, for commands that have it.
fn server_member(arguments: &Arguments) -> Members {
    let mut members = Members::new();
    if arguments.command.takes_server()
        && let Some((row, name)) = arguments.operands.first()
    {
        members.insert(row.member.to_owned(), name.as_str().into());
    }
    members
}

/// Prints the document of an error; nothing if the output format is text.
fn print_document(
    request: Option<(&Command, Members)>,
    output: Output,
    error: Error,
) -> Result<()> {
    if output == Output::Text {
        return Ok(());
    }
    let envelope =
        request.map(|(command, members)| Envelope::new(command, members, Codec::PLAIN, output));
    let response = Response::failure(envelope.as_ref(), &error.into());
    print(&match output {
        Output::Raw => pretty(response.document())?,
        _ => pretty(&translate::document(&response))?,
    })
}

/// A long operation is not cancelled with its client: the daemon completes it.
fn interrupted(command: &Command) -> Error {
    let error = |text: String| Error::new(ErrorKind::Stopped, text);
    if command.run != Run::Operation {
        return error("interrupted before the response arrived".to_owned());
    }
    error(format!("interrupted; the {command} goes on in the daemon"))
        .with_hint("`pgmoneta-cli status` shows it, and the log of the daemon has its outcome")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_found_in_an_invalid_command_line() {
        for (line, output) in [
            ("nonsense", Output::Text),
            ("-F json nonsense", Output::Json),
            ("nonsense --format=raw --other", Output::Raw),
            ("-Fjson", Output::Json),
            ("-F json -F text", Output::Text),
            ("--format", Output::Text),
            ("-F xml ping", Output::Text),
        ] {
            assert_eq!(requested_output(line.split(' ')), output, "{line}");
        }
    }
}
