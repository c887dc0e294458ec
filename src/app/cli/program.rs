//! The program `pgmoneta-cli` from its first line to its exit status.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;

use super::arguments::Arguments;
use super::client::{Client, ClientError};
use super::credentials::Credentials;
use super::endpoint::{Address, find_endpoint};
use super::exit::{ExitError, NAME, print_usage_error};
use super::local::LocalRequest;
use super::progress::ProgressLine;
use super::request::request;
use super::text::View;
use super::{setting, text, translate};
use crate::app::report::{EXIT_FAILURE, EXIT_USAGE, clean, eprint, print, report};
use crate::config::OutputFormat;
use crate::error::{Error, ErrorKind, Result};
use crate::logging::{self, LogKind};
use crate::protocol::{COMMANDS, CONF_GET, MemberKind, Outcome, Output, Request, Response, pretty};
use crate::sys::{self, Stop};

/// Runs the program; returns the exit status.
pub fn main() -> ExitCode {
    let mut arguments = match Arguments::parse(COMMANDS, std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return print_parse_error(&error),
    };
    let mut output = output_format(&arguments, OutputFormat::Text);
    let status = match run(&mut arguments, &mut output) {
        Ok(status) => status,
        Err(error) => error.report(&arguments, output),
    };
    ExitCode::from(status)
}

/// Prints a usage error, the help or the version; returns the exit status.
fn print_parse_error(error: &clap::Error) -> ExitCode {
    let status = u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE);
    let printed = error.print().is_ok();
    let status = match status {
        0 if printed => status,
        0 => EXIT_FAILURE,
        _ => match print_usage_error(error) {
            Ok(plugin) => plugin.unwrap_or(if printed { status } else { EXIT_FAILURE }),
            Err(_) => EXIT_FAILURE,
        },
    };
    ExitCode::from(status)
}

/// The output format of the command line, else that of the configuration.
fn output_format(arguments: &Arguments, configured: OutputFormat) -> Output {
    match (arguments.options.format.as_deref(), configured) {
        (Some("json"), _) | (None, OutputFormat::Json) => Output::Json,
        (Some("raw"), _) | (None, OutputFormat::Raw) => Output::Raw,
        _ => Output::Text,
    }
}

fn run(arguments: &mut Arguments, output: &mut Output) -> std::result::Result<u8, ExitError> {
    sys::disable_core_dumps()?;
    let request = request(arguments)?;
    let local = LocalRequest::of(&request);
    if let Some(local) = &local
        && LocalRequest::has_no_daemon(&arguments.options)
    {
        let response = local.run(*output, NOT_RUNNING, &interruptible()?)?;
        return Ok(print_response(arguments, &request, &response, *output)?);
    }
    let (endpoint, mut config) = find_endpoint(&arguments.options)?;
    *output = output_format(arguments, config.output);
    for warning in &config.warnings {
        eprint(&format!("{NAME}: warning: {warning}\n"));
    }
    if let Some(path) = &arguments.options.logfile {
        config.log.kind = LogKind::File;
        config.log.path.clone_from(path);
    }
    if config.log.kind != LogKind::Console {
        logging::start(&config.log)?;
    }
    let is_remote = matches!(endpoint.address, Address::Remote { .. });
    if let Some(local) = local.as_ref().filter(|_| is_remote) {
        // The file is on this host.
        let response = local.run(*output, "the daemon is on another host", &interruptible()?)?;
        return Ok(print_response(arguments, &request, &response, *output)?);
    }
    let mut credentials = None;
    if is_remote {
        check_paths(arguments)?;
        credentials = Some(Credentials::obtain(arguments)?);
    }
    let client = Arc::new(Client::new(endpoint, *output, credentials)?);
    let stop = interruptible()?;
    let line = ProgressLine::start(&client, &request);
    let result = client.send(&request, &stop);
    if let Some(line) = line {
        line.end();
    }
    let result = match (result, &local) {
        (Err(ClientError::NoDaemon(_)), Some(local)) => {
            Ok(local.run(*output, NOT_RUNNING, &stop)?)
        }
        (result, _) => result,
    };
    match result {
        Ok(response) => Ok(print_response(arguments, &request, &response, *output)?),
        Err(error) => Err(ExitError::no_response(request.command(), error)),
    }
}

/// Why the client does itself what a daemon would do.
const NOT_RUNNING: &str = "no daemon is running";

/// Paths are those of the host of the daemon, where the working directory of this process means
/// nothing.
fn check_paths(arguments: &Arguments) -> Result<()> {
    let operands = arguments.operands.iter();
    let operands = operands
        .filter(|(row, _)| row.kind == MemberKind::Path)
        .map(|(_, path)| path.as_str());
    let own = arguments.own.iter();
    let tablespaces = own
        .filter(|(row, _)| row.kind == MemberKind::Tablespaces)
        .flat_map(|(_, values)| values)
        .filter_map(|value| Some(value.split_once('=')?.1));
    match operands
        .chain(tablespaces)
        .find(|path| !path.starts_with('/'))
    {
        None => Ok(()),
        Some(path) => Err(Error::new(
            ErrorKind::Usage,
            format!("{path:?} is not a full path, and the daemon is on another host"),
        )
        .with_hint("directories are those of the host of the daemon")),
    }
}

/// A stop that Ctrl-C requests.
fn interruptible() -> Result<Stop> {
    let stop = Stop::new()?;
    sys::stop_on_interrupt(&stop)?;
    Ok(stop)
}

/// Prints the response; returns the exit status.
fn print_response(
    arguments: &Arguments,
    request: &Request,
    response: &Response,
    output: Output,
) -> Result<u8> {
    let outcome = response.outcome()?;
    // Everything about a failed request is on standard error. A verification that found bad files
    // is no failed request: its result is printed.
    let view = match outcome.status {
        true => text::render(request, response),
        false => Err(request_error(request, &outcome)),
    };
    let View {
        text: shown,
        failure,
        status,
    } = view.unwrap_or_else(|error| View::of_error(request, error));
    let selects = outcome.status && arguments.command == &CONF_GET;
    let text = match (output, arguments.operands.first()) {
        (_, Some((_, key))) if selects => setting_text(response, key, output)?,
        (Output::Raw, _) => pretty(response.document())?,
        (Output::Json, _) => pretty(&translate::document(response))?,
        (Output::Text, _) => shown,
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
    Ok(status.unwrap_or(failure.map_or(0, |_| EXIT_FAILURE)))
}

/// The output of `conf get key`: the value, or as JSON the document with only this key in its
/// response.
fn setting_text(response: &Response, key: &str, output: Output) -> Result<String> {
    let (name, value) = setting::find(&response.members(), key)?;
    if output != Output::Json {
        return Ok(text::value(&value));
    }
    let mut document = response.document().clone();
    let members = [(name, value)].into_iter().collect();
    document.insert("Response".to_owned(), Value::Object(members));
    pretty(&document)
}

/// The error for a request that failed.
fn request_error(request: &Request, outcome: &Outcome) -> Error {
    let message = outcome.message.clone().unwrap_or_else(|| {
        // The daemon of the C program sends the error code only.
        let (command, error) = (request.command(), outcome.error.unwrap_or(0));
        let workflow = outcome.workflow.as_deref().unwrap_or_default();
        format!("{command} failed: error {error} (workflow {workflow}); see the log of the daemon")
    });
    let failure = Error::new(ErrorKind::Internal, clean(&message));
    match &outcome.hint {
        Some(hint) => failure.with_hint(clean(hint)),
        None => failure,
    }
}
