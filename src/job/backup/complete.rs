//! Checks that a base backup has the databases and tablespaces in the system catalogs. The server
//! does not warn of everything that it skips, such as a database whose directory was removed, or a
//! tablespace whose file system is not mounted.

use std::path::{Path, PathBuf};

use super::staging::Staging;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::format::{BackupLabel, ControlFile, NeededWal, WalRange};
use crate::pg::{ClusterObjects, Database, PG_DEFAULT};
use crate::unit::{PgVersion, WalPosition, escaped};

/// The size of `global/pg_control` (PG_CONTROL_FILE_SIZE, PostgreSQL pg_control.h).
const CONTROL_FILE_SIZE: u64 = 8192;

/// Files that every cluster has, and their sizes if fixed. If the control file is a link,
/// BASE_BACKUP sends as many bytes as the size of the link (`perform_base_backup`, PostgreSQL
/// basebackup.c), and does not warn.
const REQUIRED_FILES: [(&str, Option<u64>); 3] = [
    ("PG_VERSION", None),
    ("global/pg_filenode.map", None),
    (ControlFile::PATH, Some(CONTROL_FILE_SIZE)),
];

/// Compares the received files with the catalogs from before the backup. Missing objects may have
/// been dropped meanwhile: `now` reads the catalogs again.
pub(super) fn check(
    staging: &Staging,
    version: PgVersion,
    before: &ClusterObjects,
    now: impl FnOnce() -> Result<ClusterObjects>,
) -> Result<()> {
    for (path, size) in REQUIRED_FILES {
        match (staging.received_size(Path::new(path)), size) {
            (None, _) => return Err(incomplete(&[format!("the file {path}")])),
            (Some(found), Some(size)) if found != size => {
                let message = format!("the server sent {found} bytes of {path}, not {size}");
                return Err(Error::new(ErrorKind::Corrupt, message).with_hint(
                    "PostgreSQL backs up no symbolic link: replace the link by the file",
                ));
            }
            _ => {}
        }
    }
    let directories = TablespaceDirectories::new(staging, version);
    let mut databases: Vec<&Database> = before.databases.iter().collect();
    databases.retain(|database| !directories.has_database(staging, database));
    let mut tablespaces: Vec<u32> = before.tablespaces.iter().map(|found| found.oid).collect();
    tablespaces.retain(|oid| directories.directory(*oid).is_none());
    if databases.is_empty() && tablespaces.is_empty() {
        return Ok(());
    }
    let now = now()?;
    databases.retain(|database| now.databases.contains(database));
    tablespaces.retain(|oid| now.tablespaces.iter().any(|found| found.oid == *oid));
    if databases.is_empty() && tablespaces.is_empty() {
        return Ok(());
    }
    let tablespaces = tablespaces.iter().map(|oid| {
        let name = before.tablespace(*oid).map(|found| escaped(&found.name));
        format!("the tablespace {} (OID {oid})", name.unwrap_or_default())
    });
    let databases = databases.iter().map(|database| {
        let (name, oid) = (escaped(&database.name), database.oid);
        format!("the database {name} (OID {oid})")
    });
    let missing: Vec<String> = tablespaces.chain(databases).collect();
    Err(incomplete(&missing))
}

fn incomplete(missing: &[String]) -> Error {
    let message = format!(
        "the base backup that the server sent lacks {}",
        missing.join(", ")
    );
    Error::new(ErrorKind::Corrupt, message).with_hint(
        "look for the directory on the server: a file system that is not mounted, a link in place \
         of a directory, files that were removed",
    )
}

/// The directories of the tablespaces that were received: `pg_tblspc/<oid>/PG_<major>_<catalog
/// version>` (TABLESPACE_VERSION_DIRECTORY, PostgreSQL relpath.h).
struct TablespaceDirectories(Vec<(u32, PathBuf)>);

impl TablespaceDirectories {
    fn new(staging: &Staging, version: PgVersion) -> TablespaceDirectories {
        let prefix = format!("PG_{}_", version.major);
        let parse = |path: &Path| {
            let mut rest = path.strip_prefix("pg_tblspc").ok()?.iter();
            let oid = rest.next()?.to_str()?.parse().ok()?;
            let name = rest.next()?.to_str()?;
            (name.starts_with(&prefix) && rest.next().is_none()).then(|| (oid, path.to_owned()))
        };
        TablespaceDirectories(staging.received_directories().filter_map(parse).collect())
    }

    fn directory(&self, oid: u32) -> Option<&Path> {
        let found = self.0.iter().find(|(found, _)| *found == oid);
        found.map(|(_, path)| path.as_path())
    }

    /// Every database has a file `PG_VERSION` in its directory in its default tablespace.
    fn has_database(&self, staging: &Staging, database: &Database) -> bool {
        let directory = if database.tablespace == PG_DEFAULT {
            Some(Path::new("base"))
        } else {
            self.directory(database.tablespace)
        };
        directory.is_some_and(|directory| {
            let path = directory.join(format!("{}/PG_VERSION", database.oid));
            staging.received_size(&path).is_some()
        })
    }
}

/// Fails unless start and end of the backup, `backup_label` and the WAL ranges of the manifest are
/// consistent. No range may reach outside the backup, so the number of segments is limited.
pub(super) fn check_positions(
    label: &BackupLabel,
    ranges: &[WalRange],
    start: WalPosition,
    end: WalPosition,
) -> Result<()> {
    let needed = NeededWal::new(label, ranges)
        .context("the server sent inconsistent positions of the WAL that the backup needs")?;
    if needed == (NeededWal { start, end }) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        format!(
            "the server sent inconsistent positions of the WAL that the backup needs: from {} to \
             {} in its reply, from {} to {} in backup_label and the manifest",
            start.lsn, end.lsn, needed.start.lsn, needed.end.lsn
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::{Lsn, Timeline};

    #[test]
    fn wal_ranges_outside_the_backup_are_an_error() {
        let label = BackupLabel {
            start: Lsn(0x200_0028),
            timeline: Timeline::FIRST,
            checkpoint: Lsn(0x200_0060),
            from_standby: false,
            incremental_from: None,
        };
        let range = |start, end| WalRange {
            timeline: Timeline::FIRST,
            start: Lsn(start),
            end: Lsn(end),
        };
        let check = |more: &[WalRange]| {
            let ranges = [&[range(0x200_0028, 0x300_0100)], more].concat();
            let (start, end) = (Lsn(0x200_0028), Lsn(0x300_0100));
            check_positions(
                &label,
                &ranges,
                Timeline::FIRST.at(start),
                Timeline::FIRST.at(end),
            )
        };
        assert!(check(&[]).is_ok());
        for (start, end) in [(0, 0x200_0028), (0x300_0100, u64::MAX), (0, u64::MAX)] {
            assert!(check(&[range(start, end)]).is_err());
        }
    }
}
