//! The WAL that a backup needs to become consistent.

use std::ops::ControlFlow;

use super::FileReport;
use crate::error::{Kind, Result};
use crate::job::context::Context;
use crate::job::replay::{Ending, Segments, TimelineChoice, Walk, choose};
use crate::repository::{Backup, Manifest, Repository};

/// Reads every record from the beginning of the backup to its end: once from the segments that the backup keeps for
/// itself, and, should it keep none, from the archive. What is wrong, if anything is.
pub(super) fn check(
    context: &Context,
    repository: &Repository,
    backup: &Backup,
    manifest: &Manifest,
) -> Result<Option<FileReport>> {
    let archive = match repository.wal_for(backup) {
        Ok(archive) => archive,
        Err(failure) if failure.kind() == Kind::NotFound => {
            return Ok(Some(report(failure.message())));
        }
        Err(failure) => return Err(failure),
    };
    let mut segments = Segments::new(archive, context.key.clone())?;
    if !manifest.wal.is_empty() {
        segments = segments.kept_only();
        segments.keep(backup, &manifest.wal);
    }
    let info = &backup.info;
    let history = match choose(&segments, info, TimelineChoice::Current, &context.stop) {
        Ok(history) => history,
        Err(failure) => return Ok(Some(report(failure.message()))),
    };
    // A backup of another cluster, which was put here, does not fit the archive.
    let bound = repository.system()?.map(|system| system.system_identifier);
    let walk = Walk {
        segments: &segments,
        history: &history,
        system_identifier: bound.or(info.system_identifier),
        stop: &context.stop,
    };
    let (start, end) = (info.start.1, info.end.1);
    let mut enough = false;
    let walked = walk.run(start, &mut |record, _| {
        enough = record.end >= end;
        if enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if enough {
        return Ok(None);
    }
    let size = segments.size();
    let why = match walked.ending {
        Ending::Told => return Ok(None),
        Ending::Received(segment) | Ending::Missing(segment, _) => {
            format!(
                "WAL segment {} is missing or not complete",
                segment.name(size)
            )
        }
        Ending::Damaged(path, why) => format!("{path} is damaged: {why}"),
    };
    let message = format!(
        "WAL is needed from {start} to {end} and ends at {}: {why}",
        walked.end
    );
    Ok(Some(report(&message)))
}

fn report(reason: &str) -> FileReport {
    FileReport {
        path: "pg_wal".to_owned(),
        algorithm: "CRC32C".to_owned(),
        expected: String::new(),
        found: String::new(),
        reason: reason.to_owned(),
    }
}
