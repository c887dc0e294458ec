//! The backups of a server as a whole.

use super::row::Metric;
use super::row::Read::Server;
use super::row::gauge;
use super::snapshot::ServerSnapshot;
use super::value::Value;
use crate::status::StoredBackup;

#[rustfmt::skip] // One row per line.
pub(super) static METRICS: &[Metric] = &[
    gauge("pgmoneta_backup_oldest", "The label of the oldest valid backup as a number; 0 without one", Server(|server| Some(label(server.inventory.oldest_valid())))),
    gauge("pgmoneta_backup_newest", "The label of the newest valid backup as a number; 0 without one", Server(|server| Some(label(server.inventory.newest_valid())))),
    gauge("pgmoneta_backup_valid", "How many backups are valid", Server(|server| Some(count(server, true)))),
    gauge("pgmoneta_backup_invalid", "How many backups are not valid", Server(|server| Some(count(server, false)))),
    gauge("pgmoneta_backup_count", "How many backups there are", Server(|server| Some(server.inventory.backups.len().into()))),
    gauge("pgmoneta_backup_newest_size", "Bytes on disk of the newest valid backup; 0 without one", Server(|server| Some(server.inventory.newest_valid().map_or(0, |backup| backup.stored_bytes).into()))),
    gauge("pgmoneta_restore_newest_size", "Bytes of the newest valid backup when restored; 0 without one", Server(|server| Some(server.inventory.newest_valid().map_or(0, |backup| backup.plain_bytes).into()))),
    gauge("pgmoneta_backup_oldest_timestamp_seconds", "When the oldest valid backup ended, seconds since 1970 UTC; no value without one", Server(|server| server.inventory.oldest_valid()?.taken_at.map(Into::into))),
    gauge("pgmoneta_backup_newest_timestamp_seconds", "When the newest valid backup ended, seconds since 1970 UTC; no value without one", Server(|server| server.inventory.newest_valid()?.taken_at.map(Into::into))),
];

fn label(backup: Option<&StoredBackup>) -> Value {
    let digits = backup.and_then(|backup| backup.label.as_str().parse::<u64>().ok());
    digits.unwrap_or(0).into()
}

fn count(server: &ServerSnapshot, valid: bool) -> Value {
    let backups = server.inventory.backups.iter();
    backups
        .filter(|backup| backup.valid == valid)
        .count()
        .into()
}
