//! The text output of a response.

use super::layout::FieldList;
use super::values::{server, size};
use super::{backups, generic, restore, retention, status, verify};
use crate::app::cli::plugin;
use crate::app::report::clean;
use crate::error::{Error, Result};
use crate::protocol::{
    CheckReply, CheckState, FileReply, FileRequest, PingReply, ProgressReply, Request, Response,
    RetentionReply, StatusReply, VerifyReply, WalBeginReply,
};
use crate::unit::human_duration;

/// A response for the user.
#[derive(Debug)]
pub(in crate::app::cli) struct View {
    /// The text output.
    pub text: String,
    /// Why the client fails although the request succeeded: bad files, unhealthy servers.
    pub failure: Option<Error>,
    /// The exit status; `None` for 0, or 1 with a failure.
    pub status: Option<u8>,
}

impl View {
    /// For a request that failed.
    pub(in crate::app::cli) fn of_error(request: &Request, error: Error) -> View {
        let (text, status) = match plugin::is_plugin(request.command()) {
            true => (plugin::unknown(&error), Some(CheckState::Unknown.number())),
            false => (String::new(), None),
        };
        View {
            text,
            failure: Some(error),
            status,
        }
    }
}

/// The view of the response to a request that succeeded.
pub(in crate::app::cli) fn render(request: &Request, response: &Response) -> Result<View> {
    let (mut failure, mut status) = (None, None);
    let text = match request {
        Request::Ping => ping(&response.reply()?),
        Request::Shutdown => "The daemon is stopping.\n".to_owned(),
        Request::Backup(_) => backups::backup(&response.reply()?),
        Request::ListBackup(_) => backups::list(&response.reply()?),
        Request::Info(_) => backups::info(&response.reply()?),
        Request::Status | Request::StatusDetails => {
            let reply: StatusReply = response.reply()?;
            failure = reply.failure();
            status::status(&reply)
        }
        Request::Check(_) => {
            let reply: CheckReply = response.reply()?;
            status = Some(reply.state.number());
            reply.plugin_output()
        }
        Request::Verify(_) => {
            let reply: VerifyReply = response.reply()?;
            failure = reply.failure();
            verify::verify(&reply)
        }
        Request::Restore(request) => restore::restore(request.dry_run, &response.reply()?),
        Request::Archive(request) => restore::archive(request.dry_run, &response.reply()?),
        Request::Delete(_) => backups::delete(&response.reply()?),
        Request::Retain(_) | Request::Expunge(_) => backups::retain(&response.reply()?),
        Request::Annotate(_) => backups::annotate(&response.reply()?),
        Request::Retention(_) => {
            let reply: RetentionReply = response.reply()?;
            failure = reply.failure();
            retention::retention(&reply)
        }
        Request::Progress(_) => progress(&response.reply()?),
        Request::WalBegin(_) => wal_begin(&response.reply()?),
        Request::Compress(request)
        | Request::Decompress(request)
        | Request::Encrypt(request)
        | Request::Decrypt(request) => file(request, &response.reply()?),
        Request::Other { .. } => generic::members(&response.members()),
    };
    Ok(View {
        text,
        failure,
        status,
    })
}

fn ping(reply: &PingReply) -> String {
    format!("pgmoneta {} is running.\n", clean(&reply.server_version))
}

fn file(request: &FileRequest, reply: &FileReply) -> String {
    let (from, to) = (clean(&request.source_file), clean(&reply.destination_file));
    format!("{from} is now {to}\n")
}

fn wal_begin(reply: &WalBeginReply) -> String {
    let (server, name) = (server(&reply.server), clean(&reply.server.server));
    let from = match &reply.position {
        None => "WAL will be received as soon as the slot exists".to_owned(),
        Some(lsn) => format!("WAL is received from {lsn} on"),
    };
    format!(
        "A new WAL archive of {server} is allowed.\n{from}; earlier WAL is not in the archive.\n\
         Take a full backup: pgmoneta-cli backup {name}\n"
    )
}

fn progress(reply: &ProgressReply) -> String {
    let mut list = FieldList::new();
    list.add("Server", server(&reply.server));
    if !reply.is_running() {
        list.add("Running", "nothing");
        return list.text("");
    }
    list.add("Running", reply.activity.clone().unwrap_or_default());
    list.add("Done", size(reply.done));
    if reply.total > 0 {
        let (total, percentage) = (size(reply.total), reply.percentage);
        list.add("Of", format!("{total} ({percentage} %)"));
    }
    list.add("Since", human_duration(reply.elapsed));
    let left = reply.remaining.seconds();
    list.add("Left", left.map_or_else(String::new, human_duration));
    list.text("")
}
