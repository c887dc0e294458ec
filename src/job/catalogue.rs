//! The catalogue: the backups of a server, and the size of their WAL.

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::repository::{Authenticity, Backup, Repository};
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
    /// Bytes stored for the server: its backups and its WAL.
    pub size: u64,
}

/// Reads the catalogue of `server`.
pub fn list(context: &ServerContext) -> Result<Catalogue> {
    let repository = context.repository()?;
    let backups = repository.backups()?;
    let archive = ArchiveExtent::read(context, &repository)?;
    let mut size = archive.size;
    let mut before = None;
    let mut entries = Vec::with_capacity(backups.len());
    for backup in backups {
        let start = backup.info.start.1;
        size = size.saturating_add(backup.info.backup_size);
        entries.push(Entry {
            wal: archive.end.since(start),
            delta: before.map_or(0, |before| start.since(before)),
            authentic: backup.authenticity(&context.daemon.key)? == Authenticity::Verified,
            backup,
        });
        before = Some(start);
    }
    Ok(Catalogue {
        version: version(context)?,
        entries,
        size,
    })
}

/// Finds one backup by `oldest`, `newest`, `latest`, its label, or an unambiguous prefix of it.
pub fn find(context: &ServerContext, identifier: &str) -> Result<Entry> {
    let repository = context.repository()?;
    let backup = repository
        .find(identifier)
        .with_context(|| format!("server {}", context.server.name))?;
    let entries = list(context)?.entries.into_iter();
    let listed = entries
        .into_iter()
        .find(|entry| entry.backup.label == backup.label);
    let gone = || Error::new(ErrorKind::NotFound, "it has just been removed");
    listed.ok_or_else(gone)
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
    fn read(context: &ServerContext, repository: &Repository) -> Result<ArchiveExtent> {
        let mut archive = ArchiveExtent {
            end: context.status.receiver().flushed,
            size: 0,
        };
        if let Some(wal) = repository.wal()? {
            for file in wal.segments()? {
                // Since the listing it may have been renamed by sealing, or removed.
                let size = std::fs::metadata(&file.path).map_or(0, |metadata| metadata.len());
                archive.size = archive.size.saturating_add(size);
                if !file.partial {
                    archive.end = archive.end.max(file.segment.end(wal.segment_size()));
                }
            }
        }
        Ok(archive)
    }
}
