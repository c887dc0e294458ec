//! Runs the job for a request.

use std::sync::Arc;

use super::document;
use super::events::Waker;

use crate::error::{Error, ErrorKind};
use crate::job;
use crate::job::context::{DaemonContext, ServerContext};
use crate::protocol::{Cause, Command, Envelope, Members, Request, RequestError, Run, members};

/// What a request handler needs.
#[derive(Clone)]
pub(super) struct Services {
    /// What all servers share.
    pub daemon: DaemonContext,
    /// In the order of the configuration.
    pub servers: Arc<[ServerContext]>,
    /// Shuts the daemon down.
    pub waker: Waker,
}

/// The members of the response, `None` for a command without any; or the error.
pub(super) type HandlerResult = Result<Option<Members>, RequestError>;

/// Runs the command of a request.
pub(super) fn dispatch(envelope: &Envelope, services: &Services) -> HandlerResult {
    let command = envelope
        .command()
        .ok_or_else(|| unknown_command(envelope))?;
    if command.takes_server() && envelope.server_member_is_valid() {
        // First: an unknown server is reported before any other error of the request.
        find(services, envelope.server().unwrap_or_default())?;
    }
    let request = Request::read(command, envelope.request())?;
    log_request(command, envelope);
    run(request, services)
}

fn run(request: Request, services: &Services) -> HandlerResult {
    let status = || job::status::run(&services.daemon, &services.servers);
    Ok(Some(match request {
        Request::Ping => members(&document::ping())?,
        Request::Shutdown => return Ok(None),
        Request::Status => members(&document::status(&status()?))?,
        Request::StatusDetails => members(&document::status_details(&status()?))?,
        Request::Backup(request) => {
            let context = find(services, &request.server)?;
            if request.backup.is_some() {
                return Err(not_implemented("an incremental backup"));
            }
            let done = job::backup::run(context)?;
            members(&document::backup(&context.server, &done))?
        }
        Request::ListBackup(request) => {
            let context = find(services, &request.server)?;
            let catalogue = job::catalogue::list(context)?;
            members(&document::list(&context.server, &catalogue, request.sort))?
        }
        Request::Info(request) => {
            let context = find(services, &request.server)?;
            let entry = job::catalogue::find(context, &request.backup)?;
            members(&document::info(&context.server, &entry))?
        }
        Request::Verify(request) => {
            let context = find(services, &request.server)?;
            let done = job::verify::run(context, &document::verify_options(request))?;
            let version = job::catalogue::version(context)?;
            members(&document::verify(&context.server, version, &done))?
        }
        Request::Restore(request) => {
            let context = find(services, &request.server)?;
            let done = job::restore::run(context, &document::restore_options(request)?)?;
            members(&document::restore(&context.server, &done))?
        }
        Request::Progress(request) => {
            let context = find(services, &request.server)?;
            let version = job::catalogue::version(context)?;
            members(&document::progress(context, version, &request.command))?
        }
        Request::WalBegin(request) => {
            let context = find(services, &request.server)?;
            members(&document::wal_begin(
                &context.server,
                &job::wal::begin(context)?,
            ))?
        }
        Request::Other { command, .. } => {
            return Err(not_implemented(&format!("the command {command}")));
        }
    }))
}

fn find<'a>(services: &'a Services, name: &str) -> Result<&'a ServerContext, RequestError> {
    let mut servers = services.servers.iter();
    let found = servers.find(|context| context.server.name.as_str() == name);
    found.ok_or_else(|| {
        let quoted: String = name.chars().take(40).collect();
        let servers = services.servers.iter();
        let known: Vec<_> = servers
            .map(|context| context.server.name.as_str())
            .collect();
        RequestError {
            cause: Cause::UnknownServer,
            failure: Error::new(ErrorKind::Usage, format!("there is no server {quoted:?}"))
                .with_hint(format!("the configuration has {}", known.join(", "))),
        }
    })
}

fn not_implemented(what: &str) -> RequestError {
    let version = crate::VERSION;
    RequestError {
        cause: Cause::Unsupported,
        failure: Error::new(
            ErrorKind::Usage,
            format!("{what} is not implemented in version {version}"),
        ),
    }
}

fn unknown_command(envelope: &Envelope) -> RequestError {
    let code = envelope.code();
    RequestError {
        cause: Cause::UnknownCommand,
        failure: Error::new(ErrorKind::Usage, format!("there is no command {code}")),
    }
}

/// Requests of monitoring are frequent and change nothing: they are not in the log by default.
fn log_request(command: &Command, envelope: &Envelope) {
    let level = match command.run {
        Run::Monitoring => log::Level::Debug,
        Run::Instant | Run::Unbounded | Run::Operation => log::Level::Info,
    };
    match envelope.server().unwrap_or_default() {
        "" => log::log!(level, "{command}"),
        server => log::log!(level, "{command} {server:?}"),
    }
}
