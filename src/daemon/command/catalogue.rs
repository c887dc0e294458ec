//! `backup`, `list-backup` and `info`.

use crate::error::Result;
use crate::format::Comments;
use crate::job;
use crate::job::catalogue::Entry;
use crate::job::context::ServerContext;
use crate::protocol::{
    BackupMembers, BackupReply, BackupRequest, BackupSummary, CommentMembers, CompressionNumber,
    EncryptionNumber, InfoReply, InfoRequest, List, ListBackupReply, ListBackupRequest,
    ListedBackup, ParentMembers, RequestError, ServerMembers, Sort, TablespaceMembers,
};
use crate::repository::{Backup, BackupInfo, TablespaceInfo};

/// Takes a backup.
pub(in crate::daemon) fn backup(
    context: &ServerContext,
    request: &BackupRequest,
) -> std::result::Result<BackupReply, RequestError> {
    if request.backup.is_some() {
        return Err(RequestError::not_implemented("an incremental backup"));
    }
    let done = job::backup::run(context)?;
    let info = &done.info;
    Ok(BackupReply {
        server: ServerMembers::new(context.server.name.as_str(), Some(info.version)),
        backup: backup_members(&done),
        parent: parent(&done),
        valid: info.valid.into(),
        elapsed: info.elapsed,
        warnings: warnings(info),
    })
}

/// The warnings of the server, without quotes: the C client prints a quote as `\'`, which is not
/// JSON.
fn warnings(info: &BackupInfo) -> List<String> {
    let texts = info.warnings.iter();
    texts.map(|text| text.replace(['"', '\''], "")).collect()
}

/// Lists the backups.
pub(in crate::daemon) fn list_backup(
    context: &ServerContext,
    request: &ListBackupRequest,
) -> Result<ListBackupReply> {
    let (server, catalogue) = (&context.server, job::catalogue::list(context)?);
    let entries = catalogue.entries.iter();
    let backups = entries.map(|entry| ListedBackup {
        server: server.name.to_string(),
        parent: parent(&entry.backup),
        summary: summary(entry),
    });
    let mut backups: Vec<ListedBackup> = backups.collect();
    if request.sort == Sort::Descending {
        backups.reverse();
    }
    Ok(ListBackupReply {
        server: ServerMembers::new(server.name.as_str(), catalogue.version),
        number_of_backups: backups.len(),
        backups: List(backups),
    })
}

/// A backup in a list.
pub(super) fn summary(entry: &Entry) -> BackupSummary {
    let info = &entry.backup.info;
    BackupSummary {
        backup: backup_members(&entry.backup),
        comments: info.comments.clone(),
        keep: Some(info.keep),
        valid: info.valid.into(),
        readable: Some(true),
        authentic: authentic(entry),
        linked_size: info.linked_size,
        wal: entry.wal,
        delta: entry.delta,
        elapsed: info.elapsed,
        end: info.end.lsn.to_string(),
        end_timeline: info.end.timeline.number(),
        version: info.version.to_string(),
    }
}

/// Shows one backup.
pub(in crate::daemon) fn info(context: &ServerContext, request: &InfoRequest) -> Result<InfoReply> {
    let entry = job::catalogue::find(context, &request.backup)?;
    let shared = job::catalogue::shared_size(context, &entry.backup)?;
    let own = |shared| entry.backup.info.backup_size.saturating_sub(shared);
    Ok(InfoReply {
        own_size: shared.map(own),
        shared_size: shared,
        ..info_reply(context, &entry)
    })
}

/// The description of one backup.
pub(super) fn info_reply(context: &ServerContext, entry: &Entry) -> InfoReply {
    let info = &entry.backup.info;
    let comments = Comments::parse(&info.comments).pairs().into_iter();
    InfoReply {
        server: ServerMembers::new(context.server.name.as_str(), Some(info.version)),
        backup: backup_members(&entry.backup),
        checkpoint_high: Some(info.checkpoint.high()),
        checkpoint_low: Some(info.checkpoint.low()),
        start_high: Some(info.start.lsn.high()),
        start_low: Some(info.start.lsn.low()),
        start_timeline: Some(info.start.timeline.number()),
        end_high: Some(info.end.lsn.high()),
        end_low: Some(info.end.lsn.low()),
        end_timeline: Some(info.end.timeline.number()),
        comments: info.comments.clone(),
        annotations: comments
            .map(|(key, comment)| CommentMembers { key, comment })
            .collect(),
        keep: Some(info.keep),
        valid: info.valid.into(),
        readable: Some(true),
        authentic: authentic(entry),
        elapsed: info.elapsed,
        number_of_tablespaces: info.tablespaces.len(),
        tablespaces: info.tablespaces.iter().map(tablespace).collect(),
        wal: info.wal.clone(),
        distance: Some(entry.wal),
        delta: entry.delta,
        warnings: warnings(info),
        ..InfoReply::default()
    }
}

/// Whether the HMAC is valid; unknown if `backup.info` was not read.
fn authentic(entry: &Entry) -> Option<bool> {
    (!entry.backup.is_unreadable()).then_some(entry.authentic)
}

/// The members that every document has for a backup.
pub(super) fn backup_members(backup: &Backup) -> BackupMembers {
    BackupMembers {
        backup: backup.label.to_string(),
        backup_size: backup.info.backup_size,
        restore_size: backup.info.restore_size,
        biggest_file_size: backup.info.biggest_file,
        compression: CompressionNumber(backup.info.compression),
        encryption: EncryptionNumber(backup.info.encryption),
    }
}

/// The parent of an incremental backup; this program takes only full ones.
pub(super) fn parent(backup: &Backup) -> ParentMembers {
    let parent = &backup.info.parent;
    ParentMembers {
        incremental: parent.is_some(),
        incremental_parent: parent.clone(),
    }
}

pub(super) fn tablespace(tablespace: &TablespaceInfo) -> TablespaceMembers {
    TablespaceMembers {
        name: tablespace.name.clone(),
        oid: Some(tablespace.oid),
        path: tablespace.location().into_owned(),
    }
}
