//! Tablespaces that recovery creates outside of the restored directories: those that were created
//! after the start of the backup. Their records have the path on the original server, and recovery
//! uses it unchanged (`tblspc_redo` and `create_tablespace_directories`, PostgreSQL 13 to 18
//! `tablespace.c`). No other record has a path: databases, relations and mappings are identified by
//! OIDs, below the data directory or a tablespace.

use std::io;
use std::path::{Path, PathBuf};

use super::restore_dirs::RestoreDirs;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::unit::Lsn;

/// A tablespace that recovery creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CreatedTablespace {
    pub oid: u32,
    /// The path on the original server, which recovery uses on this host too.
    pub path: PathBuf,
    /// The start of its record.
    pub at: Lsn,
}

/// What exists at the path of a tablespace.
enum PathState {
    Missing,
    EmptyDirectory,
    /// What prevents its use, for the message.
    InUse(&'static str),
}

/// The warning for WAL from an unknown version of PostgreSQL, in which tablespaces and limits
/// cannot be found.
pub(super) fn unknown_version_warning(magic: u16) -> String {
    format!(
        "the WAL is from a newer version of PostgreSQL than this version of pgmoneta supports \
         (page magic {magic:04X}): it is unknown which tablespaces were created after the start of \
         the backup, which recovery creates at their original path, and which limits were raised"
    )
}

/// The warnings for a host that is not known yet.
pub(super) fn warnings(tablespaces: &[CreatedTablespace]) -> Vec<String> {
    let elsewhere = tablespaces.iter().filter(|one| one.path.is_absolute());
    elsewhere
        .map(|tablespace| {
            format!(
                "recovery creates the tablespace with OID {} in {}, where it was on the server \
                 that was backed up: that directory must exist before the start, be empty, and \
                 belong to the user of the server; no other server may use it",
                tablespace.oid,
                tablespace.path.display()
            )
        })
        .collect()
}

/// Refuses tablespaces whose path is in use: a server on this host may use it, and recovery would
/// change its files. Returns warnings for the others.
pub(super) fn check(tablespaces: &[CreatedTablespace], dirs: &RestoreDirs) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for tablespace in tablespaces {
        let (oid, path) = (tablespace.oid, &tablespace.path);
        let display = path.display();
        // Without a path it is created below pg_tblspc (allow_in_place_tablespaces). The
        // directories of this restore are empty.
        if !path.is_absolute() || dirs.all().any(|dir| is_same_directory(dir, path)) {
            continue;
        }
        let created = format!("recovery creates the tablespace with OID {oid} in {display}");
        warnings.push(match path_state(path)? {
            PathState::Missing => format!(
                "{created}, which does not exist here: create that directory, owned by the user of \
                 the server, before the start, else recovery fails"
            ),
            PathState::EmptyDirectory => format!(
                "{created}, where it was on the server that was backed up: no other server on this \
                 host may use that directory"
            ),
            PathState::InUse(what) => {
                let message = format!(
                    "recovery would create the tablespace with OID {oid} in {display}, where it \
                     was on the server that was backed up, but {what}: a server that uses it would \
                     lose data"
                );
                return Err(Error::new(ErrorKind::Usage, message).with_hint(format!(
                    "restore on another host, or to a position before {}, or from a backup that \
                     has the tablespace, whose directory --tablespace sets",
                    tablespace.at
                )));
            }
        });
    }
    Ok(warnings)
}

/// Whether two paths are the same directory, which need not exist.
fn is_same_directory(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(one) == real(other)
}

fn path_state(path: &Path) -> Result<PathState> {
    let action = || format!("read the directory {}", path.display());
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound => Ok(PathState::Missing),
                io::ErrorKind::NotADirectory => Ok(PathState::InUse("it is not a directory")),
                io::ErrorKind::PermissionDenied => Ok(PathState::InUse("it cannot be read")),
                _ => Err(error).with_context(action),
            };
        }
    };
    for entry in entries {
        // Present in the root of a file system.
        if entry.with_context(action)?.file_name() != "lost+found" {
            return Ok(PathState::InUse("it is not empty"));
        }
    }
    Ok(PathState::EmptyDirectory)
}
