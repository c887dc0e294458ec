//! Whether a base backup has what the cluster's own catalogues list. Not all that a server leaves out it warns of: a
//! database whose directory is gone, or a tablespace whose file system is not mounted, is a backup without it.

use std::path::{Path, PathBuf};

use super::staging::Staging;
use crate::error::{Failure, Kind, Result};
use crate::format::{BackupLabel, WalRange};
use crate::pg::{ClusterObjects, Database, PG_DEFAULT};
use crate::unit::{Lsn, PgVersion, Timeline, escaped};

/// The size of `global/pg_control` (PG_CONTROL_FILE_SIZE, PostgreSQL pg_control.h).
const CONTROL_FILE_SIZE: u64 = 8192;

/// Files that every cluster has, and their sizes where those are fixed. Of the control file BASE_BACKUP takes the size
/// of a link for that of the file (`perform_base_backup`, PostgreSQL basebackup.c), and does not warn.
const EVERYWHERE: [(&str, Option<u64>); 3] = [
    ("PG_VERSION", None),
    ("global/pg_filenode.map", None),
    ("global/pg_control", Some(CONTROL_FILE_SIZE)),
];

/// Compares what was received with what there was when the backup began. What is missing may have been dropped
/// meanwhile: `now` asks the server what there is.
pub(super) fn check(
    staging: &Staging,
    version: PgVersion,
    before: &ClusterObjects,
    now: impl FnOnce() -> Result<ClusterObjects>,
) -> Result<()> {
    for (path, size) in EVERYWHERE {
        match (staging.received_size(Path::new(path)), size) {
            (None, _) => return Err(lacks(&[format!("the file {path}")])),
            (Some(found), Some(size)) if found != size => {
                let message = format!("the server sent {found} bytes of {path}, not {size}");
                return Err(Failure::new(Kind::Corrupt, message).hint(
                    "PostgreSQL backs up no symbolic link: put the file in the place of the link",
                ));
            }
            _ => {}
        }
    }
    let places = Places::of(staging, version);
    let mut databases: Vec<&Database> = before.databases.iter().collect();
    databases.retain(|database| !places.have(staging, database));
    let mut tablespaces: Vec<u32> = before.tablespaces.iter().map(|found| found.oid).collect();
    tablespaces.retain(|oid| places.directory(*oid).is_none());
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
    Err(lacks(&missing))
}

fn lacks(missing: &[String]) -> Failure {
    let message = format!(
        "the base backup that the server sent lacks {}",
        missing.join(", ")
    );
    Failure::new(Kind::Corrupt, message).hint(
        "look for the directory on the server: a file system that is not mounted, a link in place of a directory, \
         files that were removed",
    )
}

/// The directories of the tablespaces that were received: `pg_tblspc/<oid>/PG_<major>_<catalog version>`
/// (TABLESPACE_VERSION_DIRECTORY, PostgreSQL relpath.h).
struct Places(Vec<(u32, PathBuf)>);

impl Places {
    fn of(staging: &Staging, version: PgVersion) -> Places {
        let prefix = format!("PG_{}_", version.major);
        let of = |path: &Path| {
            let mut rest = path.strip_prefix("pg_tblspc").ok()?.iter();
            let oid = rest.next()?.to_str()?.parse().ok()?;
            let name = rest.next()?.to_str()?;
            (name.starts_with(&prefix) && rest.next().is_none()).then(|| (oid, path.to_owned()))
        };
        Places(staging.received_directories().filter_map(of).collect())
    }

    fn directory(&self, oid: u32) -> Option<&Path> {
        let found = self.0.iter().find(|(found, _)| *found == oid);
        found.map(|(_, path)| path.as_path())
    }

    /// Every database has a file `PG_VERSION` in the directory that it has in its own tablespace.
    fn have(&self, staging: &Staging, database: &Database) -> bool {
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

/// Whether all that the server says of the WAL that is needed agrees. Only what lies between the beginning and the end is
/// looked for, however many segments a range would have.
pub(super) fn check_positions(
    label: &BackupLabel,
    ranges: &[WalRange],
    start: (Timeline, Lsn),
    end: (Timeline, Lsn),
) -> Result<()> {
    let starts = |range: &WalRange| (range.timeline, range.start) == start;
    let ends = |range: &WalRange| (range.timeline, range.end) == end;
    let within = |range: &WalRange| start.1 <= range.start && range.end <= end.1;
    if ranges.iter().any(starts)
        && ranges.iter().any(ends)
        && ranges.iter().all(within)
        && (label.timeline, label.start) == start
    {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Corrupt,
        format!(
            "the server contradicts itself about the WAL that the backup needs: from {} to {} as it says, from {} as \
             backup_label says, and the manifest has other ranges",
            start.1, end.1, label.start
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wal_before_or_behind_the_backup_is_no_part_of_it() {
        let label = BackupLabel {
            start: Lsn(0x200_0028),
            timeline: Timeline::FIRST,
            checkpoint: Lsn(0x200_0060),
            from_standby: false,
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
                (Timeline::FIRST, start),
                (Timeline::FIRST, end),
            )
        };
        assert!(check(&[]).is_ok());
        for (start, end) in [(0, 0x200_0028), (0x300_0100, u64::MAX), (0, u64::MAX)] {
            assert!(check(&[range(start, end)]).is_err());
        }
    }
}
