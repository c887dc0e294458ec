//! The program `pgmoneta-cli` from its first line to its exit status.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;

use super::arguments::Arguments;
use super::exchange::Client;
use super::progress::ProgressLine;
use super::refused::{NAME, Refused, wrong_line};
use super::request::request;
use super::target::target;
use super::{setting, text, translate};
use crate::app::report::{FAILED, USAGE, clean, complain, print, report};
use crate::config::OutputFormat;
use crate::error::{Failure, Kind, Result};
use crate::logging::{self, LogKind};
use crate::protocol::{Command, Output, Request, Response, pretty};
use crate::sys::{self, Stop};

/// The program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return unreadable(&error),
    };
    let mut output = format(&arguments, OutputFormat::Text);
    let status = match run(&arguments, &mut output) {
        Ok(status) => status,
        Err(refused) => refused.tell(&arguments, output),
    };
    ExitCode::from(status)
}

/// A command line that cannot be read, or one that asks for help or the version.
fn unreadable(error: &clap::Error) -> ExitCode {
    let status = u8::try_from(error.exit_code()).unwrap_or(USAGE);
    let printed = error.print().is_ok() && (status == 0 || wrong_line(error).is_ok());
    ExitCode::from(if printed { status } else { FAILED })
}

/// How to print: as the command line says, else as the configuration does.
fn format(arguments: &Arguments, configured: OutputFormat) -> Output {
    match (arguments.options.format.as_deref(), configured) {
        (Some("json"), _) | (None, OutputFormat::Json) => Output::Json,
        (Some("raw"), _) | (None, OutputFormat::Raw) => Output::Raw,
        _ => Output::Text,
    }
}

fn run(arguments: &Arguments, output: &mut Output) -> std::result::Result<u8, Refused> {
    sys::forbid_core_dumps()?;
    let request = request(arguments)?;
    let (target, mut config) = target(&arguments.options)?;
    *output = format(arguments, config.output);
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
    let client = Arc::new(Client::new(target, *output)?);
    let stop = Stop::new()?;
    sys::stop_on_interrupt(&stop)?;
    let line = ProgressLine::start(&client, &request);
    let answer = client.ask(&request, &stop);
    if let Some(line) = line {
        line.end();
    }
    match answer {
        Ok(response) => Ok(finish(arguments, &request, &response, *output)?),
        Err(silence) => Err(Refused::unanswered(request.command(), silence)),
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
    let key = arguments.words.first();
    let key = key.filter(|_| outcome.status && request.command() == Command::ConfGet);
    let text = match output {
        _ if key.is_some() => one_setting(response, key.map_or("", String::as_str), output)?,
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

/// The answer to `conf get key`: the value alone, or as JSON the document with nothing else in its response.
fn one_setting(response: &Response, key: &str, output: Output) -> Result<String> {
    let (name, value) = setting::find(&response.fields(), key)?;
    if output != Output::Json {
        return Ok(text::value(&value));
    }
    let mut document = response.document().clone();
    let members = [(name, value)].into_iter().collect();
    document.insert("Response".to_owned(), Value::Object(members));
    pretty(&document)
}

/// Why the operation is to be called a failure, if it is.
fn failure(request: &Request, response: &Response) -> Result<Option<Failure>> {
    let outcome = response.outcome()?;
    if outcome.status {
        return Ok(text::bad_files(request, response)
            .or_else(|| text::troubled_servers(request, response)));
    }
    let message = outcome.message.unwrap_or_else(|| {
        // A daemon of the C program has numbers only.
        let (command, error) = (request.command(), outcome.error.unwrap_or(0));
        let workflow = outcome.workflow.unwrap_or_default();
        format!("{command} failed: error {error} ({workflow}); see the log of the daemon")
    });
    let failure = Failure::new(Kind::Internal, clean(&message));
    Ok(Some(match outcome.hint {
        Some(hint) => failure.hint(clean(&hint)),
        None => failure,
    }))
}
