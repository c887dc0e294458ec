//! Complete backups: finding them, and clearing away those that never became one.

use std::path::{Path, PathBuf};

use super::{BackupInfo, Manifest, Repository};
use crate::error::{Context, Failure, Kind, Result};
use crate::storage;
use crate::unit::Label;

/// How the directory of a backup begins that is being built.
const STAGING: &str = ".new-";

/// A complete backup.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Its label.
    pub label: Label,
    /// Its directory.
    pub path: PathBuf,
    /// What `backup.info` says.
    pub info: BackupInfo,
}

impl Backup {
    /// Reads backup.manifest and checks it against backup.sha256.
    pub fn manifest(&self) -> Result<Manifest> {
        Manifest::read(&self.path, &self.label)
    }

    /// Reads backup.sha256: every stored file, relative to the backup's directory, and its SHA-256.
    pub fn sums(&self) -> Result<Vec<(PathBuf, [u8; 32])>> {
        Manifest::read_sums(&self.path)
    }
}

impl Repository {
    /// The directory that the backup `label` has when it is complete.
    pub fn backup_directory(&self, label: &Label) -> PathBuf {
        self.backup_path().join(label.as_str())
    }

    /// The directory in which the backup `label` is built.
    pub fn staging_directory(&self, label: &Label) -> PathBuf {
        self.backup_path().join(format!("{STAGING}{label}"))
    }

    /// All complete backups, oldest first. A backup whose `backup.info` cannot be read is listed as not valid.
    pub fn backups(&self) -> Result<Vec<Backup>> {
        let mut backups = Vec::new();
        for (label, staging) in self.labels()? {
            if staging {
                continue;
            }
            let path = self.backup_directory(&label);
            let info = BackupInfo::read(&path, &label).unwrap_or_else(|failure| {
                log::warn!("the backup {label} is not valid: {failure}");
                BackupInfo::unreadable()
            });
            backups.push(Backup { label, path, info });
        }
        backups.sort_by(|one, other| one.label.cmp(&other.label));
        Ok(backups)
    }

    /// `oldest`, `newest`, `latest` (the same), a label, or an unambiguous prefix of one. Words find valid backups
    /// only; a label finds what it names.
    pub fn find(&self, identifier: &str) -> Result<Backup> {
        let mut backups = self.backups()?;
        match identifier {
            "oldest" | "newest" | "latest" => {
                backups.retain(|backup| backup.info.valid);
                let found = if identifier == "oldest" {
                    backups.into_iter().next()
                } else {
                    backups.pop()
                };
                found.ok_or_else(|| Failure::new(Kind::NotFound, "there is no valid backup"))
            }
            _ => {
                let named = |backup: &Backup| {
                    !identifier.is_empty() && backup.label.as_str().starts_with(identifier)
                };
                backups.retain(named);
                match (backups.pop(), backups.pop()) {
                    (Some(backup), None) => Ok(backup),
                    (None, _) => Err(unknown(identifier)),
                    (Some(one), Some(other)) => {
                        let text = format!(
                            "{identifier:?} fits more than one backup, {} and {}",
                            other.label, one.label
                        );
                        Err(Failure::new(Kind::Usage, text))
                    }
                }
            }
        }
    }

    /// The newest label in use, of a complete backup or of one that is being built.
    pub fn newest_label(&self) -> Result<Option<Label>> {
        Ok(self.labels()?.into_iter().map(|(label, _)| label).max())
    }

    /// Removes what crashes left behind: backups that were being built, and temporary files. How many there were.
    /// Nothing else may be running on the server.
    pub fn sweep(&self) -> Result<usize> {
        let mut count = 0;
        for name in names(&self.backup_path())? {
            if name.starts_with(STAGING) {
                let path = self.backup_path().join(name);
                log::info!("remove {}, which was never complete", path.display());
                storage::remove_tree(&path)?;
                count += 1;
            }
        }
        if let Some(wal) = self.wal()? {
            count += wal.sweep()?;
        }
        let mut directories = vec![self.path().to_owned(), self.backup_path()];
        for (label, _) in self.labels()? {
            directories.push(self.backup_directory(&label));
        }
        for directory in directories {
            for name in names(&directory)? {
                if name.starts_with('.') && name.ends_with(".tmp") {
                    storage::remove_file(&directory.join(name))?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// The labels in use, and whether each is of a backup that is being built.
    fn labels(&self) -> Result<Vec<(Label, bool)>> {
        let mut labels = Vec::new();
        for name in names(&self.backup_path())? {
            let (name, staging) = match name.strip_prefix(STAGING) {
                Some(rest) => (rest, true),
                None => (name.as_str(), false),
            };
            let Ok(label) = name.parse() else {
                continue;
            };
            let path = if staging {
                self.staging_directory(&label)
            } else {
                self.backup_directory(&label)
            };
            if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
                labels.push((label, staging));
            }
        }
        Ok(labels)
    }
}

/// The names in a directory; none if it is not there. Names that are not UTF-8 are not ours.
fn names(directory: &Path) -> Result<Vec<String>> {
    let doing = || format!("list {}", directory.display());
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.with_context(doing)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.with_context(doing)?.file_name().into_string().ok());
    }
    Ok(names)
}

fn unknown(identifier: &str) -> Failure {
    let shown: String = identifier.chars().take(40).collect();
    Failure::new(Kind::NotFound, format!("there is no backup {shown:?}"))
        .hint("`pgmoneta-cli list-backup` shows the labels")
}
