//! Runs the job for a request.

use std::fmt::Display;
use std::sync::Arc;

use super::command;
use super::events::Waker;

use crate::error::{Error, ErrorKind};
use crate::job::context::{DaemonContext, ServerContext};
use crate::job::convert_file::Conversion;
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

impl Services {
    /// For a request that begins now: with the current configuration.
    pub(super) fn current(&self) -> Services {
        Services {
            daemon: self.daemon.current(),
            servers: self.servers.iter().map(ServerContext::current).collect(),
            waker: self.waker.clone(),
        }
    }
}

/// The members of the response, `None` for a command without any; or the error.
pub(super) type HandlerResult = Result<Option<Members>, RequestError>;

/// Runs the command of a request, of which `origin` is logged.
pub(super) fn dispatch(
    envelope: &Envelope,
    services: &Services,
    origin: &dyn Display,
) -> HandlerResult {
    let command = envelope
        .command()
        .ok_or_else(|| unknown_command(envelope))?;
    if command.takes_server() && envelope.server_member_is_valid() {
        // First: an unknown server is reported before any other error of the request.
        find(services, envelope.server().unwrap_or_default())?;
    }
    let request = Request::read(command, envelope.request())?;
    log_request(command, envelope, origin);
    run(request, services)
}

fn run(request: Request, services: &Services) -> HandlerResult {
    let server = |name: &str| find(services, name);
    Ok(Some(match request {
        Request::Ping => members(&command::ping())?,
        Request::Shutdown => return Ok(None),
        Request::Status => members(&command::status(services)?)?,
        Request::StatusDetails => members(&command::status_details(services)?)?,
        Request::Check(request) => {
            let one = request.server.as_deref().map(server).transpose()?;
            let servers = one.map_or(&*services.servers, std::slice::from_ref);
            members(&command::check(&services.daemon, servers, &request)?)?
        }
        Request::Backup(request) => members(&command::backup(server(&request.server)?, &request)?)?,
        Request::ListBackup(request) => {
            members(&command::list_backup(server(&request.server)?, &request)?)?
        }
        Request::Info(request) => members(&command::info(server(&request.server)?, &request)?)?,
        Request::Verify(request) => members(&command::verify(server(&request.server)?, request)?)?,
        Request::Restore(request) => {
            members(&command::restore(server(&request.server)?, request)?)?
        }
        Request::Archive(request) => {
            members(&command::archive(server(&request.server)?, request)?)?
        }
        Request::Delete(request) => members(&command::delete(server(&request.server)?, &request)?)?,
        Request::Retain(request) => members(&command::retain(server(&request.server)?, &request)?)?,
        Request::Expunge(request) => {
            members(&command::expunge(server(&request.server)?, &request)?)?
        }
        Request::Annotate(request) => {
            members(&command::annotate(server(&request.server)?, request)?)?
        }
        Request::Progress(request) => {
            members(&command::progress(server(&request.server)?, &request)?)?
        }
        Request::Compress(request) => {
            members(&command::file(services, Conversion::Compress, &request)?)?
        }
        Request::Decompress(request) => {
            members(&command::file(services, Conversion::Decompress, &request)?)?
        }
        Request::Encrypt(request) => {
            members(&command::file(services, Conversion::Encrypt, &request)?)?
        }
        Request::Decrypt(request) => {
            members(&command::file(services, Conversion::Decrypt, &request)?)?
        }
        Request::Retention(request) => {
            members(&command::retention(server(&request.server)?, &request)?)?
        }
        Request::WalBegin(request) => members(&command::wal_begin(server(&request.server)?)?)?,
        Request::Other { command, .. } => {
            let what = format!("the command {command}");
            return Err(RequestError::not_implemented(&what));
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

fn unknown_command(envelope: &Envelope) -> RequestError {
    let code = envelope.code();
    RequestError {
        cause: Cause::UnknownCommand,
        failure: Error::new(ErrorKind::Usage, format!("there is no command {code}")),
    }
}

/// Requests of monitoring are frequent and change nothing: they are not in the log by default.
fn log_request(command: &Command, envelope: &Envelope, origin: &dyn Display) {
    let level = match command.run {
        Run::Monitoring => log::Level::Debug,
        Run::Instant | Run::Unbounded | Run::Operation => log::Level::Info,
    };
    match envelope.server().unwrap_or_default() {
        "" => log::log!(level, "{command}{origin}"),
        server => log::log!(level, "{command} {server:?}{origin}"),
    }
}
