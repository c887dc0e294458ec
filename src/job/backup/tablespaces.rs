//! The names of the tablespaces of a backup.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::pg::{ClusterObjects, Tablespace};
use crate::repository::TablespaceInfo;
use crate::unit::escaped;

/// The prefix of the name of a tablespace in a backup and of its directory, as in the C program.
const PREFIX: &str = "tblspc_";

/// The longest such name in bytes that the C program accepts; file names may be longer.
const MAX_NAME_LENGTH: usize = 127;

/// Whether the names of all tablespaces are known.
pub(super) fn all_names_known(found: &[Tablespace], objects: &ClusterObjects) -> bool {
    let mut oids = found.iter().filter_map(|tablespace| tablespace.oid);
    oids.all(|oid| objects.tablespace(oid).is_some())
}

/// The tablespaces of a base backup, without the data directory.
pub(super) fn with_names(
    found: &[Tablespace],
    objects: &ClusterObjects,
) -> Result<Vec<TablespaceInfo>> {
    let mut tablespaces: Vec<TablespaceInfo> = Vec::with_capacity(found.len());
    for tablespace in found {
        let Some(oid) = tablespace.oid else {
            continue;
        };
        let path = tablespace.location.clone().ok_or_else(|| {
            let message = "the server sent a tablespace without a location";
            Error::new(ErrorKind::Protocol, message)
        })?;
        check_location(oid, &path)?;
        let name = objects
            .tablespace(oid)
            .and_then(|object| file_name(&object.name))
            .unwrap_or_else(|| format!("{PREFIX}{oid}"));
        // A tablespace may have the OID of another one as its name.
        let taken = tablespaces.iter().any(|other| other.name == name);
        let name = if taken { format!("{name}-{oid}") } else { name };
        tablespaces.push(TablespaceInfo { name, oid, path });
    }
    Ok(tablespaces)
}

/// Refuses a relative link in `pg_tblspc`. PostgreSQL follows it from there, but a base backup
/// looks for its target from the data directory, and takes a missing one for a tablespace that was
/// dropped meanwhile (`sendTablespace`, PostgreSQL 13 to 18 `basebackup.c`): its files would be
/// missing without an error. The location of an in-place tablespace is relative too.
fn check_location(oid: u32, path: &Path) -> Result<()> {
    let in_place = Path::new("pg_tblspc").join(oid.to_string());
    if path.is_absolute() || path == in_place {
        return Ok(());
    }
    let message = format!(
        "the link pg_tblspc/{oid} is relative ({}): the server would leave that tablespace out of \
         the backup",
        path.display()
    );
    Err(Error::new(ErrorKind::Unsupported, message)
        .with_hint("stop the server, and replace the link by one with an absolute path"))
}

/// The name as a file name that is safe in JSON, in a text line and in a shell glob; `None` if too
/// long. Bytes that are not UTF-8, `/` and quotes become `\x` and two hex digits, so that names
/// stay unique.
fn file_name(name: &[u8]) -> Option<String> {
    let name = escaped(name)
        .replace('/', "\\x2f")
        .replace('"', "\\x22")
        .replace('\'', "\\x27");
    let name = format!("{PREFIX}{name}");
    (name.len() <= MAX_NAME_LENGTH).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::NamedTablespace;

    fn names(objects: &[(u32, &[u8])]) -> Vec<String> {
        let mut found = vec![Tablespace {
            oid: None,
            location: None,
            size: None,
        }];
        let mut cluster = ClusterObjects::default();
        for (oid, name) in objects {
            found.push(Tablespace {
                oid: Some(*oid),
                location: Some("/srv".into()),
                size: None,
            });
            if !name.is_empty() {
                cluster.tablespaces.push(NamedTablespace {
                    oid: *oid,
                    name: name.to_vec(),
                });
            }
        }
        let tablespaces = with_names(&found, &cluster).unwrap();
        tablespaces.into_iter().map(|found| found.name).collect()
    }

    #[test]
    fn names_are_escaped_to_safe_file_names() {
        let long = [0xe9; 63];
        assert_eq!(
            names(&[
                (1, b"ts1"),
                (2, "schnell für alle".as_bytes()),
                (3, b"donn\xe9es"),
                (4, b"../../etc"),
                (5, b"a\nb\"c'd\\x"),
                (6, &long),
            ]),
            [
                "tblspc_ts1",
                "tblspc_schnell für alle",
                "tblspc_donn\\xe9es",
                "tblspc_..\\x2f..\\x2fetc",
                "tblspc_a\\x0ab\\x22c\\x27d\\x5cx",
                "tblspc_6",
            ]
        );
    }

    #[test]
    fn names_are_unique() {
        let expected = ["tblspc_2", "tblspc_2-2"];
        assert_eq!(names(&[(1, b"2"), (2, b"")]), expected);
        let expected = ["tblspc_a\\x2fb", "tblspc_a\\x5cx2fb"];
        assert_eq!(names(&[(1, b"a/b"), (2, b"a\\x2fb")]), expected);
    }

    #[test]
    fn a_tablespace_without_a_location_is_refused() {
        let found = [Tablespace {
            oid: Some(7),
            location: None,
            size: None,
        }];
        assert!(with_names(&found, &ClusterObjects::default()).is_err());
        assert!(!all_names_known(&found, &ClusterObjects::default()));
    }

    #[test]
    fn a_relative_link_is_refused_and_an_in_place_tablespace_is_not() {
        let check = |path: &str| check_location(16400, Path::new(path));
        assert!(check("/srv/one").is_ok() && check("pg_tblspc/16400").is_ok());
        for path in ["../../one", "one", "pg_tblspc/16401"] {
            let refused = check(path).unwrap_err();
            assert!(refused.message().contains("pg_tblspc/16400"), "{refused}");
        }
    }
}
