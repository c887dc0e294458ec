//! What the client says when there is no answer from a daemon: because it refuses itself, or nobody answers.

use std::ffi::OsStr;

use super::arguments::Arguments;
use super::exchange::Silence;
use super::translate;
use crate::app::report::{FAILED, USAGE, complain, print, report};
use crate::error::{Failure, Kind, Result};
use crate::protocol::{Codec, Command, Envelope, Members, Output, Response, pretty};

/// The name of the program.
pub(super) const NAME: &str = "pgmoneta-cli";

/// There is no daemon.
const NO_DAEMON: u8 = 3;

/// Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

/// Why there is no answer, with the exit status.
pub(super) struct Refused {
    status: u8,
    failure: Failure,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        let status = match failure.kind() {
            Kind::Usage | Kind::Configuration | Kind::NotFound | Kind::Permission => USAGE,
            _ => FAILED,
        };
        Refused { status, failure }
    }
}

impl Refused {
    /// For a request that got no answer.
    pub(super) fn unanswered(command: Command, silence: Silence) -> Refused {
        match silence {
            Silence::NoDaemon(failure) => Refused {
                status: NO_DAEMON,
                failure,
            },
            Silence::Interrupted => Refused {
                status: INTERRUPTED,
                failure: interrupted(command),
            },
            Silence::Broken(failure) => failure.into(),
        }
    }

    /// Says it on standard error, and as a document on standard output where documents are asked for; the exit status.
    pub(super) fn tell(self, arguments: &Arguments, output: Output) -> u8 {
        if self.status == INTERRUPTED {
            // Behind the ^C that the terminal shows.
            complain("\n");
        }
        report(NAME, &self.failure);
        let (command, status) = (arguments.row.command, self.status);
        match document(Some((command, server(arguments))), output, self.failure) {
            Ok(()) => status,
            Err(failure) => {
                report(NAME, &failure);
                status
            }
        }
    }
}

/// A command line that cannot be read: the document about it, where the line asks for documents.
pub(super) fn wrong_line(error: &clap::Error) -> Result<()> {
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let failure = Failure::new(Kind::Usage, first.trim_start_matches("error: "));
    document(None, wanted(std::env::args_os()), failure)
}

/// The format that a command line asks for, readable or not.
fn wanted(arguments: impl Iterator<Item = impl AsRef<OsStr>>) -> Output {
    let mut output = Output::Text;
    let mut follows = false;
    for argument in arguments {
        let text = argument.as_ref().to_string_lossy();
        let joined = text
            .strip_prefix("--format=")
            .or_else(|| text.strip_prefix("-F").filter(|rest| !rest.is_empty()));
        let value = if follows { Some(text.as_ref()) } else { joined };
        output = match value {
            Some("json") => Output::Json,
            Some("raw") => Output::Raw,
            Some(_) => Output::Text,
            None => output,
        };
        follows = matches!(text.as_ref(), "-F" | "--format");
    }
    output
}

fn server(arguments: &Arguments) -> Members {
    let mut members = Members::new();
    if arguments.row.command.is_of_server() {
        let name = arguments.words.first().cloned().unwrap_or_default();
        members.insert("Server".to_owned(), name.into());
    }
    members
}

/// Prints the document of a failure; nothing where the output is for people.
fn document(request: Option<(Command, Members)>, output: Output, failure: Failure) -> Result<()> {
    if output == Output::Text {
        return Ok(());
    }
    let envelope =
        request.map(|(command, members)| Envelope::new(command, members, Codec::PLAIN, output));
    let response = Response::failure(envelope.as_ref(), &failure.into());
    print(&match output {
        Output::Raw => pretty(response.document())?,
        _ => pretty(&translate::document(&response))?,
    })
}

/// The job belongs to the daemon.
fn interrupted(command: Command) -> Failure {
    let failure = |text: String| Failure::new(Kind::Stopped, text);
    match command {
        Command::Backup | Command::Restore | Command::Verify => failure(format!(
            "not waiting any longer; the {command} goes on in the daemon"
        ))
        .hint("`pgmoneta-cli status` shows it, and the log of the daemon will say how it ended"),
        _ => failure("not waiting for the answer any longer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_found_in_a_line_that_is_wrong() {
        for (line, output) in [
            ("nonsense", Output::Text),
            ("-F json nonsense", Output::Json),
            ("nonsense --format=raw --other", Output::Raw),
            ("-Fjson", Output::Json),
            ("-F json -F text", Output::Text),
            ("--format", Output::Text),
            ("-F xml ping", Output::Text),
        ] {
            assert_eq!(wanted(line.split(' ')), output, "{line}");
        }
    }
}
