//! Restores: what is asked, and what was done.

use std::path::PathBuf;

use super::catalogue::{parent, sizes, tablespace_fields};
use crate::config::Server;
use crate::error::{Failure, Kind, Result};
use crate::job::restore::{Options, Outcome, Plan};
use crate::protocol::{Fields, Restore, Value};

/// What the job is asked. Directories must be absolute: the daemon has no directory that a client could mean.
pub(in crate::daemon) fn restore_options(request: Restore) -> Result<Options> {
    let tablespaces = request.tablespaces.into_iter();
    let tablespaces: Result<Vec<_>> = tablespaces
        .map(|(from, to)| Ok((from, absolute(to, "the new directory of a tablespace")?)))
        .collect();
    Ok(Options {
        backup: request.backup,
        position: request.position,
        directory: absolute(request.directory, "the directory")?,
        tablespaces: tablespaces?,
        keep_synchronous: request.keep_synchronous,
        archive_off: request.archive_off,
        dry_run: request.dry_run,
    })
}

fn absolute(path: String, what: &str) -> Result<PathBuf> {
    let path = PathBuf::from(path);
    if path.as_os_str().is_empty() {
        return Err(Failure::new(Kind::Usage, format!("{what} is missing")));
    }
    if path.is_relative() {
        let relative = format!("{what} {path:?} is not absolute");
        return Err(Failure::new(Kind::Usage, relative).hint("give a path that begins with '/'"));
    }
    Ok(path)
}

/// The answer to `restore`. Plan and Warnings are ours.
pub(in crate::daemon) fn restore(server: &Server, outcome: &Outcome) -> Fields {
    let info = &outcome.backup.info;
    Fields::of_server(server.name.as_str(), Some(info.version))
        .and(sizes(&outcome.backup))
        .and(parent(&outcome.backup))
        .with("Comments", info.comments.as_str())
        .with("Plan", plan(&outcome.plan))
        .with("Warnings", outcome.plan.warnings.clone())
}

fn plan(plan: &Plan) -> Fields {
    let tablespaces = plan.tablespaces.iter();
    let tablespaces: Vec<Value> = tablespaces
        .map(|(tablespace, to)| {
            let fields = tablespace_fields(tablespace).with("Directory", to.to_string_lossy());
            fields.into()
        })
        .collect();
    Fields::new()
        .with("Target", plan.target.to_string_lossy())
        .with("Tablespaces", tablespaces)
        .with("Files", plan.files)
        .with("Bytes", plan.bytes)
        .with("WAL", plan.wal.clone())
        .with("WALBytes", plan.wal_bytes)
        .with("Position", plan.position.as_str())
        .with("Settings", plan.settings.clone())
}
