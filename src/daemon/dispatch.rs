//! Runs the job for a request.

use std::sync::Arc;

use super::document;
use super::events::Waker;

use crate::error::{Error, ErrorKind};
use crate::job;
use crate::job::context::{DaemonContext, ServerContext};
use crate::protocol::{Cause, Command, Envelope, Fields, Request, RequestError};

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
pub(super) type HandlerResult = Result<Option<Fields>, RequestError>;

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
    let status = || job::status::run(&services.daemon, &services.servers);
    Ok(Some(match request {
        Request::Ping => Fields::new(),
        Request::Shutdown => return Ok(None),
        Request::Status => document::status(&status()?),
        Request::StatusDetails => document::status_details(&status()?),
        Request::Backup { server, parent } => {
            let context = find(services, &server)?;
            if parent.is_some() {
                return Err(not_implemented("an incremental backup"));
            }
            let done = job::backup::run(context, &job::backup::Options::default())?;
            document::backup(&context.server, &done)
        }
        Request::ListBackup { server, sort } => {
            let context = find(services, &server)?;
            document::list(&context.server, &job::catalogue::list(context)?, sort)
        }
        Request::Info { server, backup } => {
            let context = find(services, &server)?;
            document::info(&context.server, &job::catalogue::find(context, &backup)?)
        }
        Request::Verify {
            server,
            backup,
            all,
            ..
        } => {
            let context = find(services, &server)?;
            let done = job::verify::run(context, &job::verify::Options { backup, all })?;
            document::verify(&context.server, job::catalogue::version(context)?, &done)
        }
        Request::Restore(restore) => {
            let context = find(services, &restore.server)?;
            let options = document::restore_options(restore)?;
            document::restore(&context.server, &job::restore::run(context, &options)?)
        }
        Request::Progress { server, command } => {
            let context = find(services, &server)?;
            let version = job::catalogue::version(context)?;
            document::progress(context, version, &command)
        }
        Request::WalBegin { server } => {
            let context = find(services, &server)?;
            document::wal_begin(&context.server, &job::wal::begin(context)?)
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
