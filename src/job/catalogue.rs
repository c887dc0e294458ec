//! The catalogue: which backups there are of a server, and how much WAL lies behind them.

use crate::config::Server;
use crate::error::{Context as _, Failure, Kind, Result};
use crate::job::context::Context;
use crate::repository::{Authenticity, Backup, Repository};
use crate::unit::{Lsn, PgVersion};

/// A backup and its distance to others.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The backup.
    pub backup: Backup,
    /// WAL from its start to the end of the archive, in bytes.
    pub wal: u64,
    /// WAL from the start of the backup before it to its own, in bytes; 0 for the oldest.
    pub delta: u64,
    /// Whether the backup was written with the master key, and is as it was written.
    pub authentic: bool,
}

/// The catalogue of a server.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// PostgreSQL's version, if the server was ever seen.
    pub version: Option<PgVersion>,
    /// The complete backups, oldest first.
    pub entries: Vec<Entry>,
    /// Bytes stored for the server: its backups and its WAL.
    pub size: u64,
}

/// Reads the catalogue of `server`.
pub fn list(context: &Context, server: &Server) -> Result<Catalogue> {
    let repository = context.repository(&server.name)?;
    let backups = repository.backups()?;
    let archive = Archive::read(context, server, &repository)?;
    let mut size = archive.size;
    let mut before = None;
    let mut entries = Vec::with_capacity(backups.len());
    for backup in backups {
        let start = backup.info.start.1;
        size = size.saturating_add(backup.info.backup_size);
        entries.push(Entry {
            wal: archive.end.since(start),
            delta: before.map_or(0, |before| start.since(before)),
            authentic: backup.authenticity(&context.key)? == Authenticity::Proven,
            backup,
        });
        before = Some(start);
    }
    Ok(Catalogue {
        version: version(context, server)?,
        entries,
        size,
    })
}

/// Looks up one backup: `oldest`, `newest`, `latest`, a label, or an unambiguous prefix of one.
pub fn find(context: &Context, server: &Server, identifier: &str) -> Result<Entry> {
    let repository = context.repository(&server.name)?;
    let backup = repository
        .find(identifier)
        .with_context(|| format!("server {}", server.name))?;
    let entries = list(context, server)?.entries.into_iter();
    let listed = entries
        .into_iter()
        .find(|entry| entry.backup.label == backup.label);
    let gone = || Failure::new(Kind::NotFound, "it was removed in this moment");
    listed.ok_or_else(gone)
}

/// The version of a server: as it last said itself, else as the repository has it.
pub fn version(context: &Context, server: &Server) -> Result<Option<PgVersion>> {
    let said = context.board.receiver(&server.name).version;
    if said.is_some() {
        return Ok(said);
    }
    let repository = context.repository(&server.name)?;
    Ok(repository.system()?.map(|system| system.version))
}

/// What the WAL archive of a server amounts to.
struct Archive {
    end: Lsn,
    size: u64,
}

impl Archive {
    fn read(context: &Context, server: &Server, repository: &Repository) -> Result<Archive> {
        let mut archive = Archive {
            end: context.board.receiver(&server.name).flushed,
            size: 0,
        };
        if let Some(wal) = repository.wal()? {
            for file in wal.segments()? {
                // One that was sealed or removed meanwhile has another name now, or none.
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
