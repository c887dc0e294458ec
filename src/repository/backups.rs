//! Listing and finding the backups of a server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::layout::STAGING_PREFIX;
use super::{Backup, Repository};
use crate::error::{Context, Result};
use crate::unit::Label;

impl Repository {
    /// The directory of the complete backup `label`.
    pub fn backup_directory(&self, label: &Label) -> PathBuf {
        self.backup_path().join(label.as_str())
    }

    /// The directory of the backup `label` while it is incomplete.
    pub fn staging_directory(&self, label: &Label) -> PathBuf {
        self.backup_path().join(format!("{STAGING_PREFIX}{label}"))
    }

    /// All complete backups, oldest first, including those of the C program. A backup whose
    /// `backup.info` cannot be read is listed as not valid.
    pub fn backups(&self) -> Result<Vec<Backup>> {
        let mut found: BTreeMap<Label, PathBuf> = BTreeMap::new();
        for directory in [self.backup_path(), self.c_backup_path()] {
            for label in complete_labels(&directory)? {
                let path = directory.join(label.as_str());
                if found.contains_key(&label) {
                    let path = path.display();
                    log::warn!("{path} is not listed: another backup has the same label");
                    continue;
                }
                found.insert(label, path);
            }
        }
        Ok(self.catalogue().read(found, &self.backup_path()))
    }

    /// `oldest`, `newest`, `latest` (the same), a label, or an unambiguous prefix of one. The words
    /// find valid backups only; a label also finds a backup that is not valid.
    pub fn find(&self, identifier: &str) -> Result<Backup> {
        Backup::select(self.backups()?, identifier)
    }

    /// The newest label in use, of a complete or an incomplete backup.
    pub fn newest_label(&self) -> Result<Option<Label>> {
        let mut newest = None;
        for directory in [self.backup_path(), self.c_backup_path()] {
            let labels = labels(&directory)?.into_iter();
            newest = newest.max(labels.map(|(label, _)| label).max());
        }
        Ok(newest)
    }
}

/// The labels of the complete backups in a directory.
pub(super) fn complete_labels(directory: &Path) -> Result<Vec<Label>> {
    let labels = labels(directory)?.into_iter();
    let complete = labels.filter(|(_, staging)| !staging);
    Ok(complete.map(|(label, _)| label).collect())
}

/// The labels in use in a directory, and whether each belongs to an incomplete backup.
fn labels(directory: &Path) -> Result<Vec<(Label, bool)>> {
    let mut labels = Vec::new();
    for name in file_names(directory)? {
        let (digits, staging) = match name.strip_prefix(STAGING_PREFIX) {
            Some(rest) => (rest, true),
            None => (name.as_str(), false),
        };
        let Ok(label) = digits.parse() else {
            continue;
        };
        // A directory that cannot be looked at now, or was moved and is a symbolic link, is there
        // all the same: its WAL, and the files that it shares, are needed.
        let counts = match directory.join(&name).symlink_metadata() {
            Ok(found) => found.is_dir() || found.is_symlink(),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        if counts {
            labels.push((label, staging));
        }
    }
    Ok(labels)
}

/// The names in a directory; empty if it does not exist. Names that are not UTF-8 are ignored.
pub(super) fn file_names(directory: &Path) -> Result<Vec<String>> {
    let action = || format!("list {}", directory.display());
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.with_context(action)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.with_context(action)?.file_name().into_string().ok());
    }
    Ok(names)
}
