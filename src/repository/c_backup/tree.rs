//! What is in the data directory of a backup of the C program.

use std::collections::BTreeSet;
use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use super::super::layout::DATA_DIRECTORY;
use super::CDirectory;
use crate::error::{Context, Error, ErrorKind, Result};

/// The prefix of the directory of a tablespace.
const TABLESPACE_PREFIX: &str = "tblspc_";

/// The files and directories below `data`. Paths are relative to that; those of a tablespace are
/// below `pg_tblspc/<oid>`, as on the server.
#[derive(Debug, Default)]
pub struct Tree {
    /// Files, and links to files, which are not followed.
    pub files: BTreeSet<PathBuf>,
    /// Directories, without `pg_tblspc/<oid>`.
    pub directories: Vec<PathBuf>,
    /// OID and name of the directory, `tblspc_<name>`, of each tablespace.
    pub tablespaces: Vec<(u32, String)>,
}

impl Tree {
    pub(super) fn read(directory: &CDirectory) -> Result<Tree> {
        let mut tree = Tree::default();
        let data = directory.locate(Path::new(DATA_DIRECTORY))?;
        // The place on the disk, and the path.
        let mut pending = vec![(data, PathBuf::new())];
        while let Some((place, path)) = pending.pop() {
            let action = || format!("list {}", place.display());
            for entry in std::fs::read_dir(&place).with_context(action)? {
                let entry = entry.with_context(action)?;
                let path = path.join(entry.file_name());
                let kind = entry.file_type().with_context(action)?;
                if kind.is_dir() {
                    tree.directories.push(path.clone());
                    pending.push((entry.path(), path));
                } else if let Some(oid) = tablespace_oid(&path).filter(|_| kind.is_symlink()) {
                    let (place, name) = tablespace(directory, &entry, &path)?;
                    tree.tablespaces.push((oid, name));
                    pending.push((place, path));
                } else {
                    tree.files.insert(path);
                }
            }
        }
        tree.directories.sort();
        Ok(tree)
    }
}

/// The OID in `pg_tblspc/<oid>`.
fn tablespace_oid(path: &Path) -> Option<u32> {
    let name = path.strip_prefix("pg_tblspc").ok()?;
    name.to_str()?.parse().ok().filter(|oid| *oid > 0)
}

/// The directory that the link of a tablespace leads to, and its name.
fn tablespace(directory: &CDirectory, entry: &DirEntry, path: &Path) -> Result<(PathBuf, String)> {
    let place = directory.locate(&Path::new(DATA_DIRECTORY).join(path))?;
    let name = place.file_name().and_then(|name| name.to_str());
    let own = place.parent() == Some(&directory.path());
    match name.filter(|name| own && name.starts_with(TABLESPACE_PREFIX)) {
        Some(name) => Ok((place.clone(), name.to_owned())),
        None => {
            let (link, place) = (entry.path(), place.display());
            let message = format!(
                "the link {} leads to {place}, which is not a tablespace of the backup",
                link.display()
            );
            Err(Error::new(ErrorKind::Corrupt, message))
        }
    }
}
