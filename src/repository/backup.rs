//! Complete backups: listing, finding and reading them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{INFO, MANIFEST, STAGING_PREFIX};
use super::signature::{Authenticity, Signature};
use super::wal_directory::is_segment_start;
use super::{BackupInfo, Manifest, ManifestFile, Origin, Repository};
use crate::codec::{StoredReader, Suffixes};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::unit::Label;

/// Limit for a file that is read into memory, bytes.
const MAX_CONTENT: u64 = 16 << 20;

/// A complete backup in the repository, of this or of the C program.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The label, `YYYYMMDDHHMMSS`.
    pub label: Label,
    /// The directory of the backup.
    pub path: PathBuf,
    /// The content of `backup.info`.
    pub info: BackupInfo,
    /// Which program wrote it.
    pub origin: Origin,
    /// The HMAC of `backup.info`, if it has one.
    pub(super) signature: Option<Signature>,
}

impl Backup {
    /// A backup that was just completed in the directory `path`.
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

    /// Whether `backup.info`, and by its digest the manifest, were written with this master key and
    /// not changed.
    pub fn authenticity(&self, key: &MasterKey) -> Result<Authenticity> {
        match self.signature {
            // Without its digest the manifest is not authenticated.
            Some(_) if self.info.manifest_sha256.is_none() => Ok(Authenticity::Invalid),
            Some(signature) if signature.matches(key)? => Ok(Authenticity::Verified),
            Some(_) => Ok(Authenticity::Invalid),
            None => Ok(Authenticity::Unsigned),
        }
    }

    /// Reads backup.manifest and checks it against the digest in backup.info, or in backup.sha256
    /// if that has none. [`ErrorKind::Unsupported`] for a backup of the C program.
    pub fn manifest(&self) -> Result<Manifest> {
        self.check_readable()?;
        let manifest = Manifest::read(&self.path, &self.label, self.info.manifest_sha256)?;
        let (expected, stored) = (self.info.encryption, manifest.stored.encryption);
        if expected == stored {
            return Ok(manifest);
        }
        let message = format!(
            "{INFO} says that the encryption is {expected}, {MANIFEST} that it is {stored}"
        );
        Err(Error::new(ErrorKind::Corrupt, message))
    }

    /// Opens a file of the backup to read its plain bytes, with the format from the manifest.
    pub fn open(&self, file: &ManifestFile, key: &Arc<MasterKey>) -> Result<StoredReader> {
        let path = self.path.join(&file.stored_path);
        if let Some(stored) = file.stored {
            let source = StoredReader::open(&path, stored, Some(key.clone()))?;
            return Ok(source.with_max_size(file.size));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let begins = |plain: &[u8]| is_segment_start(plain, file.size);
        let source = StoredReader::probe(&path, Suffixes::split_name(&name).1, key, &begins)?;
        Ok(source.with_max_size(file.size))
    }

    /// The plain bytes of a small file of the backup, checked against the manifest.
    pub fn content(&self, file: &ManifestFile, key: &Arc<MasterKey>) -> Result<Vec<u8>> {
        let action = || format!("read {}", file.path.display());
        let mut source = self.open(file, key).with_context(action)?;
        let mut content = Vec::new();
        let mut limited = (&mut source).take(MAX_CONTENT);
        limited.read_to_end(&mut content).with_context(action)?;
        let digests = source.finish().with_context(action)?;
        file.check(&digests).with_context(action)?;
        Ok(content)
    }

    /// Why the backup cannot be restored, as far as known without reading its files. `None` for
    /// backups of the C program.
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

    /// [`ErrorKind::Unsupported`] for a backup of the C program, which is listed, but cannot be
    /// read yet.
    pub fn check_readable(&self) -> Result<()> {
        match self.origin {
            Origin::Own => Ok(()),
            Origin::C => Err(Origin::unsupported_error(&self.label)),
        }
    }

    /// Reads backup.sha256: the path of every stored file, relative to the directory of the backup,
    /// and its SHA-256.
    pub fn sums(&self) -> Result<Vec<(PathBuf, [u8; 32])>> {
        Manifest::read_sums(&self.path)
    }
}

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
        let mut backups: Vec<Backup> = Vec::new();
        for directory in [self.backup_path(), self.c_backup_path()] {
            for label in complete_labels(&directory)? {
                let path = directory.join(label.as_str());
                if backups.iter().any(|known| known.label == label) {
                    let path = path.display();
                    log::warn!("{path} is not listed: another backup has the same label");
                    continue;
                }
                let own = directory == self.backup_path();
                backups.push(read_backup(label, path, own));
            }
        }
        backups.sort_by(|one, other| one.label.cmp(&other.label));
        Ok(backups)
    }

    /// `oldest`, `newest`, `latest` (the same), a label, or an unambiguous prefix of one. The words
    /// find valid backups only; a label also finds a backup that is not valid.
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
                found.ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no valid backup"))
            }
            _ => {
                let named = |backup: &Backup| {
                    !identifier.is_empty() && backup.label.as_str().starts_with(identifier)
                };
                backups.retain(named);
                match (backups.pop(), backups.pop()) {
                    (Some(backup), None) => Ok(backup),
                    (None, _) => Err(not_found(identifier)),
                    (Some(one), Some(other)) => {
                        let text = format!(
                            "{identifier:?} fits more than one backup, {} and {}",
                            other.label, one.label
                        );
                        Err(Error::new(ErrorKind::Usage, text))
                    }
                }
            }
        }
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

/// Reads `backup.info` of a backup; `own` if its directory is written by this program only.
fn read_backup(label: Label, path: PathBuf, own: bool) -> Backup {
    let read = BackupInfo::read(&path, &label);
    let (info, signature) = read.unwrap_or_else(|failure| {
        log::warn!("the backup {label} is not valid: {failure}");
        (BackupInfo::unreadable(), None)
    });
    let origin = if own {
        Origin::Own
    } else {
        Origin::detect(&path)
    };
    Backup {
        label,
        path,
        info,
        origin,
        signature,
    }
}

/// Whether the path does not exist.
fn is_missing(path: &Path) -> bool {
    let found = path.symlink_metadata();
    found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
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
        let found = directory.join(&name).symlink_metadata();
        if found.is_ok_and(|found| found.is_dir()) {
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

fn not_found(identifier: &str) -> Error {
    let quoted: String = identifier.chars().take(40).collect();
    Error::new(
        ErrorKind::NotFound,
        format!("there is no backup {quoted:?}"),
    )
    .with_hint("`pgmoneta-cli list-backup` shows the labels")
}
