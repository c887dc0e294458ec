//! From the archives of a base backup to stored files.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::archive::{Entries, Entry, What};
use super::pipeline::Pipeline;
use super::staging::FileHead;
use crate::error::{Failure, Kind, Result};
use crate::format::BackupLabel;
use crate::repository::TablespaceInfo;

/// `backup_label` has half a kilobyte; it is kept in memory up to this size.
const MAX_LABEL: u64 = 64 << 10;

/// Where the entries of an archive belong.
pub(super) struct Place {
    /// Relative to the data directory.
    logical: PathBuf,
    /// Below the directory of the backup.
    stored: PathBuf,
}

impl Place {
    /// The data directory.
    pub(super) fn data() -> Place {
        Place {
            logical: PathBuf::new(),
            stored: "data".into(),
        }
    }

    /// A tablespace.
    pub(super) fn tablespace(oid: u32) -> Place {
        Place {
            logical: format!("pg_tblspc/{oid}").into(),
            stored: format!("tblspc/{oid}").into(),
        }
    }

    fn is_data(&self) -> bool {
        self.logical.as_os_str().is_empty()
    }

    /// Where a file goes whose stored name ends in `suffix`.
    pub(super) fn file(&self, path: &Path, suffix: &str) -> (PathBuf, PathBuf) {
        let mut stored = self.stored.join(path).into_os_string();
        stored.push(suffix);
        (self.logical.join(path), stored.into())
    }
}

/// Stores all of an archive; what `backup_label` says, if it was in it.
pub(super) fn receive(
    input: impl Read,
    place: &Place,
    tablespaces: &[TablespaceInfo],
    pipeline: &mut Pipeline<'_>,
) -> Result<Option<BackupLabel>> {
    let suffix = pipeline.staging().coding().stored().suffix();
    let mut entries = Entries::new(input);
    let mut label = None;
    while let Some(entry) = entries.next()? {
        let path = &entry.path;
        let (logical, stored) = place.file(path, &suffix);
        match entry.what {
            What::Directory => {
                let stored = place.stored.join(path);
                pipeline
                    .staging()
                    .directory(&logical, &stored, entry.mode)?;
            }
            What::Link if place.is_data() && leads_to(tablespaces, path) => {}
            What::Link => return Err(stray(&entry)),
            What::File(_) if !place.is_data() && path.iter().count() == 1 => {
                return Err(no_directory(&logical));
            }
            What::File(size) => {
                let head = FileHead {
                    path: logical,
                    stored_path: stored,
                    size,
                    modified: entry.modified,
                    mode: entry.mode,
                };
                if place.is_data() && path == Path::new("backup_label") && size <= MAX_LABEL {
                    let mut content = Vec::new();
                    entries.content().take(size).read_to_end(&mut content)?;
                    label = Some(BackupLabel::parse(&content)?);
                    pipeline.store(head, &mut &content[..])?;
                } else {
                    pipeline.store(head, entries.content())?;
                }
            }
        }
    }
    Ok(label)
}

/// Whether a path is that of the link to one of the tablespaces, which are archives of their own.
fn leads_to(tablespaces: &[TablespaceInfo], path: &Path) -> bool {
    let names = |tablespace: &TablespaceInfo| {
        path == Path::new("pg_tblspc").join(tablespace.oid.to_string())
    };
    tablespaces.iter().any(names)
}

/// At the top of a tablespace's archive there is its version directory only. For a link in its place the server sends the
/// header of a file, without a content (`sendTablespace`, PostgreSQL basebackup.c), so that what follows makes no sense.
fn no_directory(path: &Path) -> Failure {
    let path = path.display();
    Failure::new(
        Kind::Corrupt,
        format!("the base backup that the server sent: {path} is not a directory"),
    )
    .hint("PostgreSQL backs up no symbolic link there: put the directory in the place of the link")
}

fn stray(entry: &Entry) -> Failure {
    Failure::new(
        Kind::Corrupt,
        format!(
            "the base backup that the server sent: {} is a symbolic link, but not to a tablespace",
            entry.path.display()
        ),
    )
}
