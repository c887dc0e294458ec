//! From a request to the job that does it.

use super::document;
use super::events::Wake;

use crate::config::Server;
use crate::error::{Failure, Kind};
use crate::job;
use crate::job::context::Context;
use crate::protocol::{Cause, Command, Envelope, Fields, Refusal, Request};

/// What serving requests takes.
#[derive(Clone)]
pub(super) struct Services {
    /// For the jobs.
    pub context: Context,
    /// To end the daemon.
    pub wake: Wake,
}

/// The members of an answer, `None` for those few that have none; or why there is no answer.
pub(super) type Answered = Result<Option<Fields>, Refusal>;

/// Does what a client asks.
pub(super) fn dispatch(envelope: &Envelope, services: &Services) -> Answered {
    let Some(command) = envelope.command() else {
        let code = envelope.code();
        return Err(Refusal {
            cause: Cause::UnknownCommand,
            failure: Failure::new(Kind::Usage, format!("there is no command {code}")),
        });
    };
    let context = &services.context;
    if command.is_of_server() && envelope.names_server() {
        // Before anything else can be wrong: with the wrong name, nothing else matters.
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
                return Err(not_yet("an incremental backup"));
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
            document::progress(server, version, &context.board, &command)
        }
        Request::WalBegin { server } => {
            let server = find(context, &server)?;
            document::beginning(server, &job::wal::begin(context, server)?)
        }
        Request::Other { command, .. } => return Err(not_yet(&format!("the command {command}"))),
    }))
}

fn find<'a>(context: &'a Context, name: &str) -> Result<&'a Server, Refusal> {
    context.config.server(name).ok_or_else(|| {
        let shown: String = name.chars().take(40).collect();
        let servers = context.config.servers.iter();
        let known: Vec<_> = servers.map(|server| server.name.as_str()).collect();
        Refusal {
            cause: Cause::UnknownServer,
            failure: Failure::new(Kind::Usage, format!("there is no server {shown:?}"))
                .hint(format!("the configuration has {}", known.join(", "))),
        }
    })
}

fn not_yet(what: &str) -> Refusal {
    let version = crate::protocol::VERSION;
    Refusal {
        cause: Cause::NotYet,
        failure: Failure::new(
            Kind::Usage,
            format!("{what} is not there yet in version {version}"),
        ),
    }
}

fn log_request(command: Command, envelope: &Envelope) {
    let server = envelope.server().unwrap_or_default();
    match command {
        // Asked for often, and nothing to remember.
        Command::Ping | Command::Status | Command::StatusDetails | Command::Progress => {
            log::debug!("{command} {server:?}");
        }
        _ if server.is_empty() => log::info!("{command}"),
        _ => log::info!("{command} {server:?}"),
    }
}
