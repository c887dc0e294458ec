//! `restore`.

use std::path::PathBuf;

use super::catalogue::{backup_members, parent, tablespace};
use crate::error::{Error, ErrorKind, Result};
use crate::job;
use crate::job::context::ServerContext;
use crate::job::restore::{Options, RecoveryTarget, Summary};
use crate::protocol::{
    ArchiveMode, List, PlanMembers, RestoreReply, RestoreRequest, RestoredTablespace, ServerMembers,
};

/// Restores a backup.
pub(in crate::daemon) fn restore(
    context: &ServerContext,
    request: RestoreRequest,
) -> Result<RestoreReply> {
    let outcome = job::restore::run(context, &options(request)?)?;
    let info = &outcome.backup.info;
    Ok(RestoreReply {
        server: ServerMembers::new(context.server.name.as_str(), Some(info.version)),
        backup: backup_members(&outcome.backup),
        parent: parent(&outcome.backup),
        comments: info.comments.clone(),
        plan: Some(plan(&outcome.summary)),
        warnings: List(outcome.summary.warnings.clone()),
    })
}

/// The options of the job. Directories must be absolute: the daemon does not know the working
/// directory of the client.
pub(super) fn options(request: RestoreRequest) -> Result<Options> {
    let tablespaces = request.tablespaces.into_iter();
    let tablespaces: Result<Vec<_>> = tablespaces
        .map(|(from, to)| Ok((from, absolute(to, "the new directory of a tablespace")?)))
        .collect();
    Ok(Options {
        backup: request.backup,
        directory: absolute(request.directory, "the directory")?,
        tablespaces: tablespaces?,
        keep_synchronous: request.keep_synchronous,
        archive_off: request.archive_mode == ArchiveMode::Off,
        dry_run: request.dry_run,
        target: RecoveryTarget::parse(request.position.as_deref())?,
    })
}

fn absolute(path: String, what: &str) -> Result<PathBuf> {
    let path = PathBuf::from(path);
    if path.as_os_str().is_empty() {
        return Err(Error::new(ErrorKind::Usage, format!("{what} is missing")));
    }
    if path.is_relative() {
        let relative = format!("{what} {path:?} is not absolute");
        return Err(
            Error::new(ErrorKind::Usage, relative).with_hint("give a path that begins with '/'")
        );
    }
    Ok(path)
}

pub(super) fn plan(summary: &Summary) -> PlanMembers {
    let tablespaces = summary.tablespaces.iter();
    let tablespaces = tablespaces.map(|(info, to)| RestoredTablespace {
        tablespace: tablespace(info),
        directory: to.to_string_lossy().into_owned(),
    });
    PlanMembers {
        target: summary.data_directory.to_string_lossy().into_owned(),
        tablespaces: tablespaces.collect(),
        files: summary.files,
        bytes: summary.bytes,
        wal: List(summary.wal.clone()),
        wal_bytes: summary.wal_bytes,
        position: summary.stops_at.clone(),
        settings: List(summary.settings.clone()),
    }
}
