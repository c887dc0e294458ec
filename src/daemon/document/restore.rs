//! The request and the response of `restore`.

use std::path::PathBuf;

use super::catalogue::{parent, sizes, tablespace_fields};
use crate::config::Server;
use crate::error::{Error, ErrorKind, Result};
use crate::job::restore::{Options, Outcome, Summary};
use crate::protocol::{ArchiveMode, Fields, RestoreRequest, Value};

/// The options of the job. Directories must be absolute: the daemon does not know the working
/// directory of the client.
pub(in crate::daemon) fn restore_options(request: RestoreRequest) -> Result<Options> {
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
        archive_off: request.archive_mode == ArchiveMode::Off,
        dry_run: request.dry_run,
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

/// The response to `restore`. Plan and Warnings are not in the C program.
pub(in crate::daemon) fn restore(server: &Server, outcome: &Outcome) -> Fields {
    let info = &outcome.backup.info;
    Fields::for_server(server.name.as_str(), Some(info.version))
        .and(sizes(&outcome.backup))
        .and(parent(&outcome.backup))
        .with("Comments", info.comments.as_str())
        .with("Plan", plan(&outcome.summary))
        .with("Warnings", outcome.summary.warnings.clone())
}

fn plan(summary: &Summary) -> Fields {
    let tablespaces = summary.tablespaces.iter();
    let tablespaces: Vec<Value> = tablespaces
        .map(|(tablespace, to)| {
            let fields = tablespace_fields(tablespace).with("Directory", to.to_string_lossy());
            fields.into()
        })
        .collect();
    Fields::new()
        .with("Target", summary.data_directory.to_string_lossy())
        .with("Tablespaces", tablespaces)
        .with("Files", summary.files)
        .with("Bytes", summary.bytes)
        .with("WAL", summary.wal.clone())
        .with("WALBytes", summary.wal_bytes)
        .with("Position", summary.stops_at.as_str())
        .with("Settings", summary.settings.clone())
}
