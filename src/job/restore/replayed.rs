//! What recovery makes outside of the restored directories: tablespaces that were made after the backup began. Their
//! records have the path that they had on the old server, and recovery uses it as it is (`tblspc_redo` and
//! `create_tablespace_directories`, PostgreSQL 13 to 18 `tablespace.c`). No other record has a path: databases, relations
//! and mappings are named by OIDs, below the data directory or a tablespace.

use std::io;
use std::path::{Path, PathBuf};

use super::places::Places;
use crate::error::{Context as _, Failure, Kind, Result};
use crate::unit::Lsn;

/// A tablespace that recovery makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Replayed {
    /// Its OID.
    pub oid: u32,
    /// Its path on the old server, and here.
    pub path: PathBuf,
    /// Where its record begins.
    pub at: Lsn,
}

/// What recovery would find there.
enum There {
    Nothing,
    EmptyDirectory,
    /// In words.
    Other(&'static str),
}

/// What is to be said where nobody knows what recovery makes.
pub(super) fn unknown(magic: u16) -> String {
    format!(
        "the WAL is that of a newer version of PostgreSQL than this version of pgmoneta knows (page magic {magic:04X}): \
         tablespaces that were made after the backup began, which recovery makes where they were, and limits that were \
         raised are not known"
    )
}

/// Refuses tablespaces where something is at their path: a server on this host may use it, and recovery would change
/// its files. What is to be said of the others.
pub(super) fn check(replayed: &[Replayed], places: &Places) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for tablespace in replayed {
        let (oid, path) = (tablespace.oid, &tablespace.path);
        let shown = path.display();
        // Without a path it is made below pg_tblspc (allow_in_place_tablespaces). Our own directories are empty.
        if !path.is_absolute() || places.all().any(|place| same(place, path)) {
            continue;
        }
        let made = format!("recovery makes the tablespace with OID {oid} in {shown}");
        warnings.push(match there(path)? {
            There::Nothing => format!(
                "{made}, which does not exist here: make that directory for the user of the server before the start, \
                 else recovery ends there with an error"
            ),
            There::EmptyDirectory => format!(
                "{made}, where it was on the server that was backed up: no other server on this host may use that \
                 directory"
            ),
            There::Other(what) => {
                let message = format!(
                    "recovery would make the tablespace with OID {oid} in {shown}, where it was on the server that was \
                     backed up, and {what}: a server that uses it would lose data"
                );
                return Err(Failure::new(Kind::Usage, message).hint(format!(
                    "restore on another host, or to a position before {}, or from a backup that has the tablespace: its \
                     place can be chosen with --tablespace",
                    tablespace.at
                )));
            }
        });
    }
    Ok(warnings)
}

/// Whether two paths name one directory, be it one that does not exist yet.
fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

fn there(path: &Path) -> Result<There> {
    let doing = || format!("look into {}", path.display());
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound => Ok(There::Nothing),
                io::ErrorKind::NotADirectory => Ok(There::Other("that is not a directory")),
                io::ErrorKind::PermissionDenied => {
                    Ok(There::Other("nobody lets us look into that"))
                }
                _ => Err(error).with_context(doing),
            };
        }
    };
    for entry in entries {
        // The root of a file system has this one.
        if entry.with_context(doing)?.file_name() != "lost+found" {
            return Ok(There::Other("there is something in it"));
        }
    }
    Ok(There::EmptyDirectory)
}
