//! The catalogue: the backups of a server, and the size of their WAL.

use std::time::Instant;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::job::wal::report_gaps;
use crate::repository::{Authenticity, Backup, MeasuredWalFile, Repository, WalDirectory};
use crate::unit::{Lsn, PgVersion, SegmentSize};

/// A backup, and its distance from the next older one and from the end of the archive.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Complete, that is, listed by the repository.
    pub backup: Backup,
    /// Bytes of WAL from its start to the end of the archive.
    pub wal: u64,
    /// Bytes of WAL from the start of the next older backup to its own; 0 for the oldest.
    pub delta: u64,
    /// Whether its `backup.info` has a valid HMAC under the master key.
    pub authentic: bool,
}

/// The backups of a server.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The version of the server; `None` if it was never connected.
    pub version: Option<PgVersion>,
    /// The complete backups, oldest first.
    pub entries: Vec<Entry>,
    /// Bytes stored for the server: its backups and its WAL.
    pub size: u64,
}

/// Reads the catalogue of a server.
pub fn list(context: &ServerContext) -> Result<Catalogue> {
    read(context, &context.repository()?, |_, _, _| Ok(()))
}

/// As [`list`], after a check for gaps: WAL files may have been removed, or put back.
pub(super) fn list_and_check_gaps(context: &ServerContext) -> Result<Catalogue> {
    let begun = Instant::now();
    read(context, &context.repository()?, |wal, segments, backups| {
        report_gaps(context, wal, (segments, backups), begun)
    })
}

/// Reads the catalogue. `check` is called with the WAL archive, if there is one.
fn read(
    context: &ServerContext,
    repository: &Repository,
    check: impl FnOnce(&WalDirectory, &[MeasuredWalFile], &[Backup]) -> Result<()>,
) -> Result<Catalogue> {
    let backups = repository.backups()?;
    let system = repository.system()?;
    let mut archive = ArchiveExtent {
        end: context.status.receiver().flushed,
        size: 0,
    };
    if let Some(system) = &system {
        let wal = repository.wal_with_segment_size(system.segment_size);
        let segments = wal.measured_segments()?;
        check(&wal, &segments, &backups)?;
        archive.add(&segments, system.segment_size);
    }
    let mut size = archive.size;
    let mut before = None;
    let mut entries = Vec::with_capacity(backups.len());
    for backup in backups {
        let start = backup.info.start.lsn;
        size = size.saturating_add(backup.info.backup_size);
        entries.push(Entry {
            wal: archive.end.since(start),
            delta: before.map_or(0, |before| start.since(before)),
            authentic: backup.authenticity(&context.daemon.key)? == Authenticity::Verified,
            backup,
        });
        before = Some(start);
    }
    let reported = context.status.receiver().version;
    Ok(Catalogue {
        version: reported.or(system.map(|system| system.version)),
        entries,
        size,
    })
}

/// Finds one backup by `oldest`, `newest`, `latest`, its label, or an unambiguous prefix of it.
pub fn find(context: &ServerContext, identifier: &str) -> Result<Entry> {
    let entries = list(context)?.entries;
    let backups = entries.iter().map(|entry| entry.backup.clone()).collect();
    let found = Backup::select(backups, identifier)
        .with_context(|| format!("server {}", context.server.name))?;
    let entry = entries
        .into_iter()
        .find(|entry| entry.backup.label == found.label);
    entry.ok_or_else(|| Error::new(ErrorKind::Internal, "the backup is not in its list"))
}

/// The version of a server: from its last connection, else from the repository.
pub fn version(context: &ServerContext) -> Result<Option<PgVersion>> {
    let reported = context.status.receiver().version;
    if reported.is_some() {
        return Ok(reported);
    }
    let repository = context.repository()?;
    Ok(repository.system()?.map(|system| system.version))
}

/// The end and the size in bytes of a WAL archive.
struct ArchiveExtent {
    end: Lsn,
    size: u64,
}

impl ArchiveExtent {
    fn add(&mut self, segments: &[MeasuredWalFile], segment_size: SegmentSize) {
        for MeasuredWalFile { file, length } in segments {
            self.size = self.size.saturating_add(length.unwrap_or(0));
            if !file.partial {
                self.end = self.end.max(file.segment.end(segment_size));
            }
        }
    }
}
