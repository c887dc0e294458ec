//! The documents of `backup`, `list-backup` and `info`.

use crate::config::Server;
use crate::job;
use crate::job::catalogue::{Catalogue, Entry};
use crate::protocol::{Fields, Sort, Value};
use crate::repository::{Backup, BackupInfo, TablespaceInfo};
use crate::unit::{Lsn, Timeline};

/// The response to `backup`. Warnings is not in the C program.
pub(in crate::daemon) fn backup(server: &Server, done: &job::backup::Outcome) -> Fields {
    let info = &done.backup.info;
    Fields::for_server(server.name.as_str(), Some(info.version))
        .and(sizes(&done.backup))
        .and(parent(&done.backup))
        .with("Valid", valid(info.valid))
        .with("Elapsed", info.elapsed)
        .with("Warnings", warnings(info))
}

/// The warnings of the server, without quotes: the C client prints a quote as `\'`, which is not
/// JSON.
fn warnings(info: &BackupInfo) -> Vec<String> {
    let texts = info.warnings.iter();
    texts.map(|text| text.replace(['"', '\''], "")).collect()
}

/// The response to `list-backup`.
pub(in crate::daemon) fn list(server: &Server, catalogue: &Catalogue, sort: Sort) -> Fields {
    let entries = catalogue.entries.iter();
    let mut backups: Vec<Value> = entries
        .map(|entry| {
            list_element(entry)
                .and(parent(&entry.backup))
                .with("Server", server.name.as_str())
                .into()
        })
        .collect();
    if sort == Sort::Descending {
        backups.reverse();
    }
    Fields::for_server(server.name.as_str(), catalogue.version)
        .with("NumberOfBackups", backups.len())
        .with("Backups", backups)
}

/// A backup in a list. Elapsed, End, EndTimeline and Version are not in the C program.
pub(super) fn list_element(entry: &Entry) -> Fields {
    let info = &entry.backup.info;
    sizes(&entry.backup)
        .with("Comments", info.comments.as_str())
        .with("Keep", info.keep)
        .with("Valid", valid(info.valid))
        .and(readable(entry))
        .with("WAL", entry.wal)
        .with("Delta", entry.delta)
        .with("Elapsed", info.elapsed)
        .with("End", info.end.1.to_string())
        .with("EndTimeline", info.end.0.number())
        .with("Version", info.version.to_string())
}

/// The response to `info`. Version, Delta, Distance, Warnings and the OIDs and locations of the
/// tablespaces are not in the C program.
pub(in crate::daemon) fn info(server: &Server, entry: &Entry) -> Fields {
    let info = &entry.backup.info;
    let tablespaces: Vec<Value> = info.tablespaces.iter().map(tablespace).collect();
    Fields::for_server(server.name.as_str(), Some(info.version))
        .and(sizes(&entry.backup))
        .and(lsn_fields("Checkpoint", info.checkpoint))
        .and(location_fields("Start", info.start))
        .and(location_fields("End", info.end))
        .with("Comments", info.comments.as_str())
        .with("Keep", info.keep)
        .with("Valid", valid(info.valid))
        .and(readable(entry))
        .with("Elapsed", info.elapsed)
        .with("NumberOfTablespaces", tablespaces.len())
        .with("Tablespaces", tablespaces)
        .with("WAL", info.wal.as_str())
        .with("Distance", entry.wal)
        .with("Delta", entry.delta)
        .with("Warnings", warnings(info))
}

/// The members that every document has for a backup.
pub(super) fn sizes(backup: &Backup) -> Fields {
    Fields::new()
        .with("Backup", backup.label.as_str())
        .with("BackupSize", backup.info.backup_size)
        .with("RestoreSize", backup.info.restore_size)
        .with("BiggestFileSize", backup.info.biggest_file)
        .with("Compression", backup.info.compression.info_code())
        .with("Encryption", backup.info.encryption.code())
}

/// The parent of an incremental backup; this program takes only full ones.
pub(super) fn parent(backup: &Backup) -> Fields {
    let parent = backup.info.parent.as_deref();
    Fields::new()
        .with("Incremental", parent.is_some())
        .with("IncrementalParent", parent.map_or(Value::Null, Value::from))
}

/// Whether this program supports the format of the backup, and whether its HMAC is valid. Not in
/// the C program.
fn readable(entry: &Entry) -> Fields {
    Fields::new()
        .with("Readable", entry.backup.check_readable().is_ok())
        .with("Authentic", entry.authentic)
}

fn tablespace(tablespace: &TablespaceInfo) -> Value {
    tablespace_fields(tablespace).into()
}

/// A tablespace. As in the C program its name is that of its directory, `tblspc_<name>`.
pub(super) fn tablespace_fields(tablespace: &TablespaceInfo) -> Fields {
    Fields::new()
        .with("TablespaceName", tablespace.name.as_str())
        .with("TablespaceOid", tablespace.oid)
        .with("TablespacePath", tablespace.location())
}

/// An LSN, split into two 32-bit numbers.
fn lsn_fields(prefix: &str, lsn: Lsn) -> Fields {
    Fields::new()
        .with(&format!("{prefix}HiLSN"), lsn.high())
        .with(&format!("{prefix}LoLSN"), lsn.low())
}

fn location_fields(prefix: &str, (timeline, lsn): (Timeline, Lsn)) -> Fields {
    lsn_fields(prefix, lsn).with(&format!("{prefix}Timeline"), timeline.number())
}

fn valid(valid: bool) -> i32 {
    i32::from(valid)
}
