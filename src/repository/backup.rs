//! Complete backups: finding them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{INFO, MANIFEST, STAGING};
use super::signature::{Authenticity, Signature};
use super::wal_directory::begins_segment;
use super::{BackupInfo, Manifest, ManifestFile, Origin, Repository};
use crate::codec::{Source, Suffixes};
use crate::crypto::MasterKey;
use crate::error::{Context, Failure, Kind, Result};
use crate::unit::Label;

/// The longest file that is read as a whole.
const LONGEST_CONTENT: u64 = 16 << 20;

/// A complete backup.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Its label.
    pub label: Label,
    /// Its directory.
    pub path: PathBuf,
    /// What `backup.info` says.
    pub info: BackupInfo,
    /// Which program wrote it.
    pub origin: Origin,
    /// What proves where `info` comes from, if there is something.
    pub(super) signature: Option<Signature>,
}

impl Backup {
    /// One that this program has just completed, in the directory `path`.
    pub fn completed(label: Label, path: PathBuf) -> Result<Backup> {
        let (info, signature) = BackupInfo::read(&path, &label)?;
        Ok(Backup {
            label,
            path,
            info,
            origin: Origin::Own,
            signature,
        })
    }

    /// Whether it was written with this master key, and is as it was written: `info` and, since it has the digest, the
    /// manifest.
    pub fn authenticity(&self, key: &MasterKey) -> Result<Authenticity> {
        match self.signature {
            // Without the digest of the manifest it proves nothing of that.
            Some(_) if self.info.manifest_sha256.is_none() => Ok(Authenticity::Refuted),
            Some(signature) if signature.is_of(key)? => Ok(Authenticity::Proven),
            Some(_) => Ok(Authenticity::Refuted),
            None => Ok(Authenticity::Unsigned),
        }
    }

    /// Reads backup.manifest and checks it against the digest in backup.info, or in backup.sha256 if that has none.
    /// [`Kind::Unsupported`] for a backup of the C program.
    pub fn manifest(&self) -> Result<Manifest> {
        self.check_readable()?;
        let manifest = Manifest::read(&self.path, &self.label, self.info.manifest_sha256)?;
        let (said, stored) = (self.info.encryption, manifest.stored.encryption);
        if said == stored {
            return Ok(manifest);
        }
        let message =
            format!("{INFO} says that the encryption is {said}, {MANIFEST} that it is {stored}");
        Err(Failure::new(Kind::Corrupt, message))
    }

    /// Opens a file of it to read its plain bytes, as its manifest says that it is stored.
    pub fn open(&self, file: &ManifestFile, key: &Arc<MasterKey>) -> Result<Source> {
        let path = self.path.join(&file.stored_path);
        if let Some(stored) = file.stored {
            let source = Source::open(&path, stored, Some(key.clone()))?;
            return Ok(source.at_most(file.size));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let begins = |plain: &[u8]| begins_segment(plain, file.size);
        let source = Source::probe(&path, Suffixes::of_name(&name).1, key, &begins)?;
        Ok(source.at_most(file.size))
    }

    /// The plain bytes of a small file of it, compared with what the manifest says.
    pub fn content(&self, file: &ManifestFile, key: &Arc<MasterKey>) -> Result<Vec<u8>> {
        let doing = || format!("read {}", file.path.display());
        let mut source = self.open(file, key).with_context(doing)?;
        let mut content = Vec::new();
        let mut limited = (&mut source).take(LONGEST_CONTENT);
        limited.read_to_end(&mut content).with_context(doing)?;
        let digests = source.finish().with_context(doing)?;
        file.check(&digests).with_context(doing)?;
        Ok(content)
    }

    /// Why it cannot be restored, as far as that is seen without reading its files, in words. Of the C program's backups
    /// nothing is said.
    pub fn damage(&self) -> Option<String> {
        let (label, path) = (&self.label, self.path.display());
        let what = if self.origin != Origin::Own {
            return None;
        } else if !self.info.valid {
            format!("{INFO} cannot be read, or says that the backup is not valid")
        } else if is_missing(&self.path.join(MANIFEST)) {
            format!("{MANIFEST} is missing")
        } else {
            return None;
        };
        Some(format!(
            "the backup {label} cannot be restored: {what}; take a new one, then remove {path}"
        ))
    }

    /// Fails with [`Kind::Unsupported`] for a backup of the C program, which is listed, but cannot be read yet.
    pub fn check_readable(&self) -> Result<()> {
        match self.origin {
            Origin::Own => Ok(()),
            Origin::C => Err(Origin::unreadable(&self.label)),
        }
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

    /// All complete backups, oldest first, those of the C program among them. A backup whose `backup.info` cannot be read is
    /// listed as not valid.
    pub fn backups(&self) -> Result<Vec<Backup>> {
        let mut backups: Vec<Backup> = Vec::new();
        for directory in [self.backup_path(), self.c_backup_path()] {
            for label in complete(&directory)? {
                let path = directory.join(label.as_str());
                if backups.iter().any(|known| known.label == label) {
                    let path = path.display();
                    log::warn!("{path} is not listed: another backup has the same label");
                    continue;
                }
                let own = directory == self.backup_path();
                backups.push(read(label, path, own));
            }
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
        let mut newest = None;
        for directory in [self.backup_path(), self.c_backup_path()] {
            let labels = labels(&directory)?.into_iter();
            newest = newest.max(labels.map(|(label, _)| label).max());
        }
        Ok(newest)
    }
}

/// Reads a backup as far as the list of backups needs it; `own` if only this program writes where it lies.
fn read(label: Label, path: PathBuf, own: bool) -> Backup {
    let read = BackupInfo::read(&path, &label);
    let (info, signature) = read.unwrap_or_else(|failure| {
        log::warn!("the backup {label} is not valid: {failure}");
        (BackupInfo::unreadable(), None)
    });
    let origin = if own { Origin::Own } else { Origin::of(&path) };
    Backup {
        label,
        path,
        info,
        origin,
        signature,
    }
}

/// Whether there is nothing of this name.
fn is_missing(path: &Path) -> bool {
    let found = path.symlink_metadata();
    found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// The labels of the complete backups in a directory.
pub(super) fn complete(directory: &Path) -> Result<Vec<Label>> {
    let labels = labels(directory)?.into_iter();
    let complete = labels.filter(|(_, staging)| !staging);
    Ok(complete.map(|(label, _)| label).collect())
}

/// The labels in use in a directory, and whether each is of a backup that is being built.
fn labels(directory: &Path) -> Result<Vec<(Label, bool)>> {
    let mut labels = Vec::new();
    for name in names(directory)? {
        let (digits, staging) = match name.strip_prefix(STAGING) {
            Some(rest) => (rest, true),
            None => (name.as_str(), false),
        };
        let Ok(label) = digits.parse() else {
            continue;
        };
        let found = directory.join(&name).symlink_metadata();
        if found.is_ok_and(|found| found.is_dir()) {
            labels.push((label, staging));
        }
    }
    Ok(labels)
}

/// The names in a directory; none if it is not there. Names that are not UTF-8 are not ours.
pub(super) fn names(directory: &Path) -> Result<Vec<String>> {
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
