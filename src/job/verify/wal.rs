//! Checks the WAL that a backup needs to become consistent.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::FileReport;
use crate::error::{ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::job::pace::Pace;
use crate::job::replay::{Segments, Stopped, TimelineChoice, WalReader, choose_path};
use crate::repository::{Backup, Manifest, Repository};

/// Reads every record from the start of the backup to its end, from the segments in the backup, or
/// from the archive if it has none. Returns the failure, if any.
pub(super) fn check(
    context: &ServerContext,
    repository: &Repository,
    backup: &Backup,
    manifest: &Manifest,
    pace: Option<Arc<Pace>>,
) -> Result<Option<FileReport>> {
    let archive = match repository.wal_for_backup(backup, &context.daemon.key) {
        Ok(archive) => archive,
        Err(failure) if failure.kind() == ErrorKind::NotFound => {
            return Ok(Some(report(failure.message())));
        }
        Err(failure) => return Err(failure),
    };
    let mut segments = Segments::new(archive, context.daemon.key.clone())?.with_pace(pace);
    if !manifest.wal.is_empty() {
        segments = segments.backup_only();
        segments.set_backup(backup, &manifest.wal);
    }
    let info = &backup.info;
    let history = match choose_path(&segments, info, TimelineChoice::Current, &context.stop) {
        Ok(history) => history,
        Err(failure) => return Ok(Some(report(failure.message()))),
    };
    // A backup of another cluster does not match the archive.
    let bound = repository.system()?.map(|system| system.system_identifier);
    let reader = WalReader {
        segments: &segments,
        history: &history,
        system_identifier: bound.or(info.system_identifier),
        strict: false,
        stop: &context.stop,
    };
    let (start, end) = (info.start.lsn, info.end.lsn);
    let mut reached_end = false;
    let result = reader.read(start, &mut |record, _| {
        reached_end = record.end >= end;
        if reached_end {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if reached_end {
        return Ok(None);
    }
    let size = segments.size();
    let why = match result.stopped {
        Stopped::ByCaller => return Ok(None),
        Stopped::EndOfWal(segment) | Stopped::Missing(segment, _)
            if segments.is_pruned(segment) =>
        {
            let why = segments.why_missing(segment);
            format!("WAL segment {} is {why}", segment.name(size))
        }
        Stopped::EndOfWal(segment) | Stopped::Missing(segment, _) => {
            format!(
                "WAL segment {} is missing or not complete",
                segment.name(size)
            )
        }
        Stopped::Damaged(path, why) => format!("{path} is damaged: {why}"),
    };
    let message = format!(
        "WAL is needed from {start} to {end} and ends at {}: {why}",
        result.end
    );
    Ok(Some(report(&message)))
}

fn report(reason: &str) -> FileReport {
    FileReport::without_digests("pg_wal", "CRC32C", reason)
}
