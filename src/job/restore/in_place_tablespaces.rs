//! In-place tablespaces: directories below `pg_tblspc` instead of links, made with
//! `allow_in_place_tablespaces` and an empty location. They stay where they are in the data
//! directory. When recovery becomes consistent, PostgreSQL refuses any entry of `pg_tblspc` with a
//! number as its name that is not a link, unless that setting is on (`CheckTablespaceDirectory`,
//! PostgreSQL 18 `xlogrecovery.c`). Replay creates such a directory without the setting
//! (`create_tablespace_directories`, `tablespace.c`), but the next start refuses it.

use std::collections::BTreeSet;
use std::path::Path;

use super::created_tablespaces::CreatedTablespace;
use super::settings::Setting;
use crate::repository::{Manifest, TablespaceInfo};
use crate::unit::PgVersion;

/// The tablespaces of a backup, with in-place ones. Up to PostgreSQL 15 the server does not list
/// these: they have their OID as their name.
pub(super) fn tablespaces(manifest: &Manifest) -> Vec<TablespaceInfo> {
    let mut tablespaces = manifest.tablespaces.clone();
    let directories = manifest.directories.iter().map(|(path, _)| path);
    let files = manifest.files.iter().map(|file| &file.path);
    let found: BTreeSet<u32> = directories
        .chain(files)
        .filter_map(|path| oid(path))
        .collect();
    for oid in found {
        if !tablespaces.iter().any(|listed| listed.oid == oid) {
            tablespaces.push(TablespaceInfo {
                name: format!("tblspc_{oid}"),
                oid,
                path: Path::new("pg_tblspc").join(oid.to_string()),
            });
        }
    }
    tablespaces
}

/// The OID of the tablespace that a path is in.
fn oid(path: &Path) -> Option<u32> {
    let mut rest = path.strip_prefix("pg_tblspc").ok()?.iter();
    rest.next()?.to_str()?.parse().ok()
}

/// The setting with which recovery accepts in-place tablespaces: of the backup, if there are any,
/// or among those that recovery creates. `version` is that of the backup.
pub(super) fn setting(
    in_backup: bool,
    created: &[CreatedTablespace],
    version: PgVersion,
) -> Option<Setting> {
    let created = created
        .iter()
        .any(|created| created.path.as_os_str().is_empty());
    (created || in_backup && has_setting(version))
        .then(|| Setting::new("allow_in_place_tablespaces", "on"))
}

/// Whether a server has the setting and the check. Older minor releases start with a directory that
/// was put in the place of a link, but not with a setting that they do not know.
fn has_setting(version: PgVersion) -> bool {
    match version.major {
        13 => version.minor >= 8,
        14 => version.minor >= 5,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Lsn;

    #[test]
    fn the_setting_is_written_for_versions_that_have_it() {
        let of = |in_backup, created: &[&str], version| {
            let created = created.iter().map(|path| CreatedTablespace {
                oid: 16385,
                path: path.into(),
                at: Lsn(1),
            });
            let created: Vec<_> = created.collect();
            setting(in_backup, &created, PgVersion::parse(version).unwrap()).is_some()
        };
        for version in ["13.8", "14.5", "15beta1", "16.0", "19devel"] {
            assert!(of(true, &[], version), "{version}");
            assert!(!of(false, &["/srv/one"], version), "{version}");
        }
        for version in ["13.7", "14.4"] {
            assert!(!of(true, &[], version), "{version}");
            assert!(of(true, &["/srv/one", ""], version), "updated since");
        }
    }

    #[test]
    fn entries_with_a_number_that_are_no_links_are_in_place_tablespaces() {
        let linked = TablespaceInfo {
            name: "tblspc_one".to_owned(),
            oid: 16385,
            path: "/srv/one".into(),
        };
        let directories = [
            "pg_tblspc",
            "pg_tblspc/16385/PG_15_202209061",
            "pg_tblspc/16386",
            "pg_tblspc/16386/PG_15_202209061",
            "pg_tblspc/lost+found",
            "base/16387",
        ];
        let manifest = Manifest {
            directories: directories.map(|path| (path.into(), 0o700)).to_vec(),
            tablespaces: vec![linked.clone()],
            ..Manifest::default()
        };
        let found = tablespaces(&manifest);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], linked);
        assert!(!found[0].is_in_place() && found[1].is_in_place());
        assert_eq!(found[1].oid, 16386);
    }
}
