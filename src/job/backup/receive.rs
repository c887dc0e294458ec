//! Stores the entries of the archives of a base backup.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::pipeline::Pipeline;
use super::staging::FileHeader;
use crate::error::{Error, ErrorKind, Result};
use crate::format::BackupLabel;
use crate::format::tar::{Entries, Entry, EntryKind};
use crate::repository::{DATA_DIRECTORY, TABLESPACES_DIRECTORY, TablespaceInfo};

/// `backup_label` has about 500 bytes; it is parsed up to this size.
const MAX_LABEL_SIZE: u64 = 64 << 10;

/// The directory to which the paths in an archive are relative.
pub(super) struct ArchiveRoot {
    /// Relative to the data directory.
    logical: PathBuf,
    /// Below the directory of the backup.
    stored: PathBuf,
}

impl ArchiveRoot {
    /// The root of the archive of the data directory.
    pub(super) fn data() -> ArchiveRoot {
        ArchiveRoot {
            logical: PathBuf::new(),
            stored: DATA_DIRECTORY.into(),
        }
    }

    /// The root of the archive of a tablespace.
    pub(super) fn tablespace(oid: u32) -> ArchiveRoot {
        ArchiveRoot {
            logical: format!("pg_tblspc/{oid}").into(),
            stored: format!("{TABLESPACES_DIRECTORY}/{oid}").into(),
        }
    }

    fn is_data(&self) -> bool {
        self.logical.as_os_str().is_empty()
    }

    /// The paths of a file, logical and stored; the stored name ends in `suffix`.
    pub(super) fn file(&self, path: &Path, suffix: &str) -> (PathBuf, PathBuf) {
        let mut stored = self.stored.join(path).into_os_string();
        stored.push(suffix);
        (self.logical.join(path), stored.into())
    }
}

/// Stores all entries of an archive. Returns `backup_label`, if in it.
pub(super) fn receive(
    input: impl Read,
    root: &ArchiveRoot,
    tablespaces: &[TablespaceInfo],
    pipeline: &mut Pipeline<'_>,
) -> Result<Option<BackupLabel>> {
    let suffix = pipeline.staging().coding().stored().suffix();
    let mut entries = Entries::new(input);
    let mut label = None;
    while let Some(entry) = entries.next()? {
        let path = &entry.path;
        let (logical, stored) = root.file(path, &suffix);
        match entry.kind {
            EntryKind::Directory => {
                let stored = root.stored.join(path);
                pipeline
                    .staging()
                    .directory(&logical, &stored, entry.mode)?;
            }
            EntryKind::Link if root.is_data() && is_tablespace_link(tablespaces, path) => {}
            EntryKind::Link => return Err(unexpected_link(&entry)),
            EntryKind::File(_) if !root.is_data() && path.iter().count() == 1 => {
                return Err(not_a_directory(&logical));
            }
            EntryKind::File(size) => {
                let header = FileHeader {
                    path: logical,
                    stored_path: stored,
                    size,
                    modified: entry.modified,
                    mode: entry.mode,
                };
                if root.is_data()
                    && path == Path::new(BackupLabel::FILE_NAME)
                    && size <= MAX_LABEL_SIZE
                {
                    let mut content = Vec::new();
                    entries.content().take(size).read_to_end(&mut content)?;
                    label = Some(BackupLabel::parse(&content)?);
                    pipeline.store(header, &mut &content[..])?;
                } else {
                    pipeline.store(header, entries.content())?;
                }
            }
        }
    }
    Ok(label)
}

/// Whether a path is the link to one of the tablespaces, which have archives of their own.
fn is_tablespace_link(tablespaces: &[TablespaceInfo], path: &Path) -> bool {
    let names = |tablespace: &TablespaceInfo| {
        path == Path::new("pg_tblspc").join(tablespace.oid.to_string())
    };
    tablespaces.iter().any(names)
}

/// The top level of a tablespace's archive has its version directory only. For a link in its place
/// the server sends the header of a file, without content (`sendTablespace`, PostgreSQL
/// basebackup.c), so that the rest of the archive is not readable.
fn not_a_directory(path: &Path) -> Error {
    let path = path.display();
    Error::new(
        ErrorKind::Corrupt,
        format!("the base backup that the server sent: {path} is not a directory"),
    )
    .with_hint("PostgreSQL backs up no symbolic link there: replace the link by the directory")
}

fn unexpected_link(entry: &Entry) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!(
            "the base backup that the server sent: {} is a symbolic link, but not to a tablespace",
            entry.path.display()
        ),
    )
}
