//! The program `pgmoneta-cli` from its first line to its exit status.

use std::process::ExitCode;
use std::sync::Arc;

use super::arguments::Arguments;
use super::exchange::{Client, Silence};
use super::progress::ProgressLine;
use super::request::request;
use super::target::target;
use super::{text, translate};
use crate::app::report::{FAILED, USAGE, complain, print, report};
use crate::config::OutputFormat;
use crate::error::{Failure, Kind, Result};
use crate::logging::{self, LogKind};
use crate::protocol::{Command, Output, Request, Response, pretty};
use crate::sys::{self, Stop};

const NAME: &str = "pgmoneta-cli";

/// There is no daemon.
const NO_DAEMON: u8 = 3;

/// Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

/// The program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = u8::try_from(error.exit_code()).unwrap_or(USAGE);
            return match error.print() {
                Ok(()) => ExitCode::from(status),
                Err(_) => ExitCode::from(FAILED),
            };
        }
    };
    let status = match run(&arguments) {
        Ok(status) => status,
        Err(failure) => {
            report(NAME, &failure);
            match failure.kind() {
                Kind::Usage | Kind::Configuration | Kind::NotFound | Kind::Permission => USAGE,
                _ => FAILED,
            }
        }
    };
    ExitCode::from(status)
}

fn run(arguments: &Arguments) -> Result<u8> {
    let request = request(arguments)?;
    let (target, mut config) = target(&arguments.options)?;
    for warning in &config.warnings {
        complain(&format!("{NAME}: warning: {warning}\n"));
    }
    if let Some(path) = &arguments.options.logfile {
        config.log.kind = LogKind::File;
        config.log.path.clone_from(path);
    }
    if config.log.kind != LogKind::Console {
        logging::start(&config.log)?;
    }
    let output = match (arguments.options.format.as_deref(), config.output) {
        (Some("json"), _) | (None, OutputFormat::Json) => Output::Json,
        (Some("raw"), _) | (None, OutputFormat::Raw) => Output::Raw,
        _ => Output::Text,
    };
    let client = Arc::new(Client::new(target, output)?);
    let stop = Stop::new()?;
    sys::stop_on_interrupt(&stop)?;
    let line = ProgressLine::start(&client, &request);
    let answer = client.ask(&request, &stop);
    if let Some(line) = line {
        line.end();
    }
    match answer {
        Ok(response) => finish(arguments, &request, &response, output),
        Err(Silence::NoDaemon(failure)) => {
            report(NAME, &failure);
            Ok(NO_DAEMON)
        }
        Err(Silence::Interrupted) => {
            complain(&interrupted(request.command()));
            Ok(INTERRUPTED)
        }
        Err(Silence::Broken(failure)) => Err(failure),
    }
}

/// The job belongs to the daemon.
fn interrupted(command: Command) -> String {
    match command {
        Command::Backup | Command::Restore | Command::Verify => format!(
            "\n{NAME}: not waiting any longer; the {command} goes on in the daemon\n\
             hint: `{NAME} status` shows it, and the log of the daemon will say how it ended\n"
        ),
        _ => format!("\n{NAME}: not waiting for the answer any longer\n"),
    }
}

fn finish(
    arguments: &Arguments,
    request: &Request,
    response: &Response,
    output: Output,
) -> Result<u8> {
    let outcome = response.outcome()?;
    let failure = failure(request, response)?;
    let text = match output {
        Output::Raw => pretty(response.document())?,
        Output::Json => pretty(&translate::document(response))?,
        // The report on standard error says all there is to say of a failure, but what a check found.
        Output::Text if !outcome.status => String::new(),
        Output::Text => text::render(request, response),
    };
    print(&text)?;
    if let Some(failure) = &failure {
        report(NAME, failure);
    }
    if arguments.options.verbose {
        let error = outcome.error.unwrap_or(0);
        print(&match outcome.status {
            true => "Success (0)\n".to_owned(),
            false => format!("Error ({error})\n"),
        })?;
    }
    Ok(failure.map_or(0, |_| FAILED))
}

/// Why the operation is to be called a failure, if it is.
fn failure(request: &Request, response: &Response) -> Result<Option<Failure>> {
    let outcome = response.outcome()?;
    if outcome.status {
        return Ok(text::bad_files(request, response));
    }
    let message = outcome.message.unwrap_or_else(|| {
        // A daemon of the C program has numbers only.
        let (command, error) = (request.command(), outcome.error.unwrap_or(0));
        let workflow = outcome.workflow.unwrap_or_default();
        format!("{command} failed: error {error} ({workflow}); see the log of the daemon")
    });
    let failure = Failure::new(Kind::Internal, message);
    Ok(Some(match outcome.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }))
}
