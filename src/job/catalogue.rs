//! The catalogue: the backups of a server, and the size of their WAL.

use std::time::Instant;

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::job::wal::report_gaps;
use crate::repository::{Authenticity, Backup, BackupInfo, Gap, Origin, WalDirectory, WalFile};
use crate::unit::{Lsn, PgVersion};

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
}

/// Reads the catalogue of a server.
pub fn list(context: &ServerContext) -> Result<Catalogue> {
    read(context, |wal, _| Ok(end(wal.segments()?.iter())))
}

/// As [`list`], after a check for gaps: WAL files may have been removed, or put back. Also returns
/// the gaps, and the bytes stored for the server: its backups and its WAL.
pub(super) fn list_and_check_gaps(context: &ServerContext) -> Result<(Catalogue, Vec<Gap>, u64)> {
    let begun = Instant::now();
    let (mut size, mut gaps) = (0_u64, Vec::new());
    let catalogue = read(context, |wal, backups| {
        let segments = wal.measured_segments()?;
        gaps = report_gaps(context, wal, (&segments, backups), begun)?;
        let lengths = segments.iter().filter_map(|measured| measured.length);
        size = lengths.fold(0, u64::saturating_add);
        Ok(end(segments.iter().map(|measured| &measured.file)))
    })?;
    let infos = catalogue.entries.iter().map(|entry| &entry.backup.info);
    let size = size.saturating_add(stored_size(infos));
    Ok((catalogue, gaps, size))
}

/// Bytes stored for the backups, oldest first: what was linked to an older one is stored once. If
/// older ones were removed, it may be some more.
pub(super) fn stored_size<'a>(infos: impl Iterator<Item = &'a BackupInfo>) -> u64 {
    let sizes = infos.enumerate().map(|(number, info)| {
        let linked = if number == 0 { 0 } else { info.linked_size };
        info.backup_size.saturating_sub(linked)
    });
    sizes.fold(0, u64::saturating_add)
}

/// Bytes of a backup that another one has too; `None` if this is not known: for a backup of the C
/// program, and one that cannot be read.
pub fn shared_size(context: &ServerContext, backup: &Backup) -> Result<Option<u64>> {
    if backup.origin != Origin::Own || backup.is_unreadable() {
        return Ok(None);
    }
    context.repository()?.shared_size(backup).map(Some)
}

/// Reads the catalogue. `end` is called with the WAL archive, if there is one, and returns its end.
fn read(
    context: &ServerContext,
    end: impl FnOnce(&WalDirectory, &[Backup]) -> Result<Lsn>,
) -> Result<Catalogue> {
    let repository = context.repository()?;
    let backups = repository.backups()?;
    let system = repository.system()?;
    let mut wal_end = context.status.receiver().flushed;
    if let Some(system) = &system {
        let wal = repository.wal_with_segment_size(system.segment_size);
        wal_end = wal_end.max(end(&wal, &backups)?);
    }
    let mut before = None;
    let mut entries = Vec::with_capacity(backups.len());
    for backup in backups {
        let start = backup.info.start.lsn;
        entries.push(Entry {
            wal: wal_end.since(start),
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
    })
}

/// The end of the last complete segment of any timeline.
fn end<'a>(files: impl Iterator<Item = &'a WalFile>) -> Lsn {
    let complete = files.filter(|file| !file.partial);
    complete.map(WalFile::end).max().unwrap_or(Lsn::ZERO)
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
