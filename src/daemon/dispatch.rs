//! Runs the job for a request.

use super::document;
use super::events::Waker;

use crate::config::Server;
use crate::error::{Error, ErrorKind};
use crate::job;
use crate::job::context::JobContext;
use crate::protocol::{Cause, Command, Envelope, Fields, Request, RequestError};

/// What a request handler needs.
#[derive(Clone)]
pub(super) struct Services {
    /// Passed to the jobs.
    pub context: JobContext,
    /// Shuts the daemon down.
    pub waker: Waker,
}

/// The members of the response, `None` for a command without any; or the error.
pub(super) type HandlerResult = Result<Option<Fields>, RequestError>;

/// Runs the command of a request.
pub(super) fn dispatch(envelope: &Envelope, services: &Services) -> HandlerResult {
    let command = envelope
        .command()
        .ok_or_else(|| unknown_command(envelope))?;
    let context = &services.context;
    if command.takes_server() && envelope.server_member_is_valid() {
        // First: an unknown server is reported before any other error of the request.
        find(context, envelope.server().unwrap_or_default())?;
    }
    let request = Request::read(command, envelope.request())?;
    log_request(command, envelope);
    Ok(Some(match request {
        Request::Ping => Fields::new(),
        Request::Shutdown => return Ok(None),
        Request::Status => document::status(&job::status::run(context)?),
        Request::StatusDetails => document::status_details(&job::status::run(context)?),
        Request::Backup { server, parent } => {
            let server = find(context, &server)?;
            if parent.is_some() {
                return Err(not_implemented("an incremental backup"));
            }
            let done = job::backup::run(context, server, &job::backup::Options::default())?;
            document::backup(server, &done)
        }
        Request::ListBackup { server, sort } => {
            let server = find(context, &server)?;
            document::list(server, &job::catalogue::list(context, server)?, sort)
        }
        Request::Info { server, backup } => {
            let server = find(context, &server)?;
            document::info(server, &job::catalogue::find(context, server, &backup)?)
        }
        Request::Verify {
            server,
            backup,
            all,
            ..
        } => {
            let server = find(context, &server)?;
            let done = job::verify::run(context, server, &job::verify::Options { backup, all })?;
            document::verify(server, job::catalogue::version(context, server)?, &done)
        }
        Request::Restore(restore) => {
            let server = find(context, &restore.server)?;
            let options = document::restore_options(restore)?;
            document::restore(server, &job::restore::run(context, server, &options)?)
        }
        Request::Progress { server, command } => {
            let server = find(context, &server)?;
            let version = job::catalogue::version(context, server)?;
            document::progress(server, version, &context.registry, &command)
        }
        Request::WalBegin { server } => {
            let server = find(context, &server)?;
            document::wal_begin(server, &job::wal::begin(context, server)?)
        }
        Request::Other { command, .. } => {
            return Err(not_implemented(&format!("the command {command}")));
        }
    }))
}

fn find<'a>(context: &'a JobContext, name: &str) -> Result<&'a Server, RequestError> {
    context.config.server(name).ok_or_else(|| {
        let quoted: String = name.chars().take(40).collect();
        let servers = context.config.servers.iter();
        let known: Vec<_> = servers.map(|server| server.name.as_str()).collect();
        RequestError {
            cause: Cause::UnknownServer,
            failure: Error::new(ErrorKind::Usage, format!("there is no server {quoted:?}"))
                .with_hint(format!("the configuration has {}", known.join(", "))),
        }
    })
}

fn not_implemented(what: &str) -> RequestError {
    let version = crate::protocol::VERSION;
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

fn log_request(command: Command, envelope: &Envelope) {
    let server = envelope.server().unwrap_or_default();
    match command {
        // Monitoring runs these often, and they change nothing.
        Command::Ping | Command::Status | Command::StatusDetails | Command::Progress => {
            log::debug!("{command} {server:?}");
        }
        _ if server.is_empty() => log::info!("{command}"),
        _ => log::info!("{command} {server:?}"),
    }
}
