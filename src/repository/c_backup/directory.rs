//! The directory of a backup of the C program.

use std::path::{Path, PathBuf};

use super::super::links::StoredFile;
use super::links;
use crate::error::{Context, Result};
use crate::storage;
use crate::unit::Label;

/// The directory of a backup of the C program, `<server>/backup/<label>`. Links are followed below
/// `<server>/backup` only.
#[derive(Clone, Debug)]
pub struct CDirectory {
    /// `<server>/backup`
    backups: PathBuf,
    label: Label,
}

impl CDirectory {
    /// The backup `label` below `backups`.
    pub fn new(backups: &Path, label: &Label) -> CDirectory {
        CDirectory {
            backups: backups.to_owned(),
            label: label.clone(),
        }
    }

    /// Another backup of the same server.
    pub fn sibling(&self, label: &Label) -> CDirectory {
        CDirectory::new(&self.backups, label)
    }

    /// The label.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// The directory.
    pub fn path(&self) -> PathBuf {
        self.backups.join(self.label.as_str())
    }

    /// Where a file of the backup is, by its path relative to the directory. See
    /// [`links::resolve`] for the errors.
    pub fn locate(&self, path: &Path) -> Result<PathBuf> {
        links::resolve(&self.backups, &Path::new(self.label.as_str()).join(path))
    }

    /// As [`CDirectory::locate`], with the backup that has the file.
    pub fn locate_stored(&self, path: &Path) -> Result<StoredFile> {
        let path = self.locate(path)?;
        let owner = path.strip_prefix(&self.backups).ok().and_then(|below| {
            let first = below.iter().next()?.to_str()?;
            first.parse().ok()
        });
        let owner = owner.unwrap_or_else(|| self.label.clone());
        Ok(StoredFile { path, owner })
    }

    /// The backup to which the link `path` of this one leads, and the path there, of which the last
    /// name may be a link too; `None` if it leads to nothing or elsewhere.
    pub fn link_leads_to(&self, path: &Path) -> Result<Option<(Label, PathBuf)>> {
        let found = links::step(&self.backups, &Path::new(self.label.as_str()).join(path))?;
        Ok(found.and_then(|found| {
            let mut names = found.iter();
            let owner = names.next()?.to_str()?.parse().ok()?;
            Some((owner, names.as_path().to_owned()))
        }))
    }

    /// The content of a file of at most `max_size` bytes.
    pub fn read(&self, path: &Path, max_size: u64) -> Result<Vec<u8>> {
        let found = self.locate(path)?;
        let content = storage::read_file(&found, max_size);
        content.with_context(|| format!("read {}", found.display()))
    }
}
