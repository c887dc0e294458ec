//! A complete backup, and reading its files.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::c_backup::{self, CDirectory, ListDifference};
use super::layout::{C_BACKUP_SUMS, INFO, MANIFEST};
use super::links::{self, StoredFile};
use super::signature::{Authenticity, Signature};
use super::wal_directory::is_segment_start;
use super::{BackupInfo, FileReader, Manifest, ManifestFile, Origin, c_sums};
use crate::codec::{StoredReader, Suffixes};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage::open_file_nofollow;
use crate::sys::{InterruptibleReader, Stop};
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
    /// Whether there is no `backup.manifest`.
    manifest_is_missing: bool,
    /// Why it is not complete, if the C program wrote it and says that it is.
    incomplete: Option<String>,
    /// Why the system did not let `backup.info` be read; its content is not known then.
    unreadable: Option<(ErrorKind, String)>,
    /// Whether `backup.info` is missing or no such file.
    info_is_damaged: bool,
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
            manifest_is_missing: false,
            incomplete: None,
            unreadable: None,
            info_is_damaged: false,
        })
    }

    /// As [`Backup::read_with_complaint`]; logs the complaint.
    fn read(label: Label, path: PathBuf, own: bool) -> Backup {
        let (backup, complaint) = Backup::read_with_complaint(label, path, own);
        complaint.iter().for_each(|why| log::warn!("{why}"));
        backup
    }

    /// Reads `backup.info` in the directory `path`; `own` if only this program writes there. One
    /// that cannot be read is not valid; then there is a text for the log.
    pub(super) fn read_with_complaint(
        label: Label,
        path: PathBuf,
        own: bool,
    ) -> (Backup, Option<String>) {
        let mut complaint = None;
        let read = BackupInfo::read(&path, &label);
        let error = read.as_ref().err();
        let error = error.filter(|error| {
            // Those say what is wrong with the file.
            !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound)
        });
        let mut unreadable = error.map(|error| (error.kind(), error.message().to_owned()));
        let info_is_damaged = read.is_err() && unreadable.is_none();
        let (mut info, signature) = read.unwrap_or_else(|error| {
            complaint = Some(format!("the backup {label} is not valid: {error}"));
            (BackupInfo::unreadable(), None)
        });
        let origin = if own {
            Origin::Own
        } else {
            Origin::detect(&path)
        };
        let mut incomplete = None;
        if origin == Origin::C && info.valid {
            match why_incomplete(&path) {
                Ok(why) => incomplete = why,
                Err(error) => {
                    complaint = Some(format!("the backup {label} cannot be used now: {error}"));
                    unreadable = Some((error.kind(), error.message().to_owned()));
                    info.valid = false;
                }
            }
        }
        if let Some(why) = &incomplete {
            complaint = Some(format!("the backup {label} is not valid: {why}"));
            info.valid = false;
        }
        let backup = Backup {
            manifest_is_missing: is_missing(&path.join(MANIFEST)),
            label,
            path,
            info,
            origin,
            signature,
            incomplete,
            unreadable,
            info_is_damaged,
        };
        (backup, complaint)
    }

    /// The same backup, with its `backup.info` as it is on the disk now.
    pub fn read_again(&self) -> Backup {
        let own = self.origin == Origin::Own;
        Backup::read(self.label.clone(), self.path.clone(), own)
    }

    /// Whether an error of the system prevented that `backup.info` was read, such as missing
    /// permission: the backup may be good, and another attempt may succeed.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable.is_some()
    }

    /// Whether `backup.info` was read, and is not malformed.
    pub fn has_readable_info(&self) -> bool {
        !self.info_is_damaged && !self.is_unreadable()
    }

    /// Whether what `backup.info` says can be relied on: it can be parsed, and it has not changed
    /// since it was written with this master key, as far as it has a digest. Otherwise it is not
    /// known whether the backup is retained.
    pub fn has_trusted_info(&self, key: &MasterKey) -> Result<bool> {
        if !self.has_readable_info() {
            return Ok(false);
        }
        match self.origin {
            Origin::Own => Ok(match self.authenticity(key)? {
                Authenticity::Verified => true,
                Authenticity::Invalid => false,
                // Only version 0.1.0 did not sign, and it did not record this digest either.
                Authenticity::Unsigned => self.info.manifest_sha256.is_none(),
            }),
            Origin::C => c_sums::has_digest_of_info(&self.path),
        }
    }

    /// The name under which a file of the backup is stored; see [`Backup::locate`].
    pub fn stored_path(&self, file: &ManifestFile) -> PathBuf {
        self.path.join(&file.stored_path)
    }

    /// The backup to which the symbolic link `path` of this one leads, and the path there, of
    /// which the last name may be a link too; `None` if it leads to nothing or elsewhere.
    pub(super) fn link_leads_to(&self, path: &Path) -> Result<Option<(Label, PathBuf)>> {
        if let Some(directory) = self.c_directory() {
            return directory.link_leads_to(path);
        }
        let link = self.path.join(path);
        let target = link.read_link();
        let target = target.with_context(|| format!("read the link {}", link.display()))?;
        Ok(links::owner_of_link(path, &target).map(|owner| (owner, path.to_owned())))
    }

    /// The directory of a backup of the C program.
    fn c_directory(&self) -> Option<CDirectory> {
        let backups = self.path.parent().filter(|_| self.origin == Origin::C)?;
        Some(CDirectory::new(backups, &self.label))
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
    /// if that has none. Of a backup of the C program, its own lists are read; the key tells how
    /// its files are encrypted.
    pub fn manifest(&self, key: &Arc<MasterKey>) -> Result<Manifest> {
        self.check_readable()?;
        if let Some(directory) = self.c_directory() {
            return c_backup::read_manifest(&directory, &self.info, key);
        }
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

    /// Where the file `stored_path` of the backup is, itself or by its symbolic link; the path is
    /// relative to the directory of the backup. A link of another kind, or to a backup that is
    /// gone, is [`ErrorKind::Corrupt`]; a missing file is [`ErrorKind::NotFound`]. Links in a
    /// backup of the C program are followed in this repository.
    pub fn locate(&self, stored_path: &Path) -> Result<StoredFile> {
        match self.c_directory() {
            Some(directory) => directory.locate_stored(stored_path),
            None => links::locate(&self.path, &self.label, stored_path),
        }
    }

    /// Whether to look for symbolic links in it: also where `backup.info` cannot be read.
    pub(super) fn may_have_symbolic_links(&self) -> bool {
        self.info.symbolic_links || !self.info.valid || self.origin == Origin::C
    }

    /// Opens a file of the backup to read its plain bytes, with the format from the manifest.
    pub fn open(&self, file: &ManifestFile, key: &Arc<MasterKey>) -> Result<FileReader> {
        let (Some(directory), Some(combined)) = (self.c_directory(), &file.combined) else {
            let source = self.open_stored(file, key)?;
            return Ok(FileReader::Stored(Box::new(source)));
        };
        let (parts, error) = (&combined.parts, combined.padding_error);
        let source = c_backup::open_combined(&directory, parts, error, key)?;
        Ok(FileReader::Combined(Box::new(source)))
    }

    /// As [`Backup::open`], for a file that is not combined.
    pub fn open_stored(&self, file: &ManifestFile, key: &Arc<MasterKey>) -> Result<StoredReader> {
        if let Some(directory) = self.c_directory() {
            return c_backup::open_stored(&directory, file, key);
        }
        let located = self.locate(&file.stored_path)?;
        match self.open_located(&located, file, key) {
            // The owner was removed after the link was read, and has handed its files over.
            Err(failure)
                if failure.kind() == ErrorKind::NotFound && located.owner != self.label =>
            {
                self.open_located(&self.locate(&file.stored_path)?, file, key)
            }
            result => result,
        }
    }

    fn open_located(
        &self,
        located: &StoredFile,
        file: &ManifestFile,
        key: &Arc<MasterKey>,
    ) -> Result<StoredReader> {
        let path = &located.path;
        if let Some(stored) = file.stored {
            let action = || format!("open {}", path.display());
            let opened = open_file_nofollow(path).with_context(action)?;
            let source = StoredReader::new(opened, stored, Some(key.clone()));
            return Ok(source.with_context(action)?.with_max_size(file.size));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let begins = |plain: &[u8]| is_segment_start(plain, file.size);
        let source = StoredReader::probe(path, Suffixes::split_name(&name).1, key, &begins)?;
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

    /// Reads a file of the backup by `read`, of any size, and checks all of it against the
    /// manifest: a digest that differs explains more than what `read` says of the content.
    pub fn read_with<T>(
        &self,
        file: &ManifestFile,
        key: &Arc<MasterKey>,
        stop: &Stop,
        read: impl FnOnce(&mut dyn Read) -> Result<T>,
    ) -> Result<T> {
        let action = || format!("read {}", file.path.display());
        let mut source = self.open(file, key).with_context(action)?;
        let mut input = InterruptibleReader::new(&mut source, stop);
        let result = read(&mut input);
        io::copy(&mut input, &mut io::sink()).with_context(action)?;
        let digests = source.finish().with_context(action)?;
        file.check(&digests).with_context(action)?;
        result.with_context(action)
    }

    /// Why the backup cannot be restored, as far as known without reading its files.
    pub fn damage(&self) -> Option<String> {
        let label = &self.label;
        if let Some((_, why)) = &self.unreadable {
            return Some(format!("the backup {label} cannot be restored now: {why}"));
        }
        let what = if let Some(why) = &self.incomplete {
            why.clone()
        } else if !self.info.valid {
            format!("{INFO} cannot be read, or says that the backup is not valid")
        } else if self.manifest_is_missing {
            format!("{MANIFEST} is missing")
        } else {
            return None;
        };
        Some(format!("the backup {label} cannot be restored: {what}"))
    }

    /// The error of reading `backup.info`, if the system prevented it.
    pub fn check_readable(&self) -> Result<()> {
        if let Some((kind, why)) = &self.unreadable {
            let hint = "give its files back to the user of the daemon: chown and chmod; or see to \
                        the disk";
            return Err(Error::new(*kind, why).with_hint(hint));
        }
        Ok(())
    }

    /// Compares the lists in a backup of the C program with each other and with the files that are
    /// no part of the cluster.
    pub fn list_differences(&self, manifest: &Manifest) -> Result<Vec<ListDifference>> {
        match self.c_directory() {
            Some(directory) => c_backup::check_lists(&directory, manifest),
            None => Ok(Vec::new()),
        }
    }

    /// Reads backup.sha256: the path of every stored file, relative to the directory of the backup,
    /// and its SHA-256.
    pub fn sums(&self) -> Result<Vec<(PathBuf, [u8; 32])>> {
        Manifest::read_sums(&self.path)
    }
}

impl Backup {
    /// One of `backups`, which are sorted: `oldest`, `newest`, `latest` (the same), a label, or an
    /// unambiguous prefix of one. The words find valid backups only; a label also finds a backup
    /// that is not valid.
    pub fn select(mut backups: Vec<Backup>, identifier: &str) -> Result<Backup> {
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
}

/// Whether the path does not exist.
fn is_missing(path: &Path) -> bool {
    let found = path.symlink_metadata();
    found.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Why a backup of the C program is not complete, although it says so. An error of the system says
/// nothing about that.
fn why_incomplete(directory: &Path) -> Result<Option<String>> {
    match c_backup::missing_entry(directory) {
        Ok(missing) => Ok(missing.map(|path| {
            let path = path.display();
            format!("{C_BACKUP_SUMS} does not list {path}: the C program did not complete it")
        })),
        Err(failure) if matches!(failure.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
            Ok(Some(failure.message().to_owned()))
        }
        Err(failure) => Err(failure),
    }
}

fn not_found(identifier: &str) -> Error {
    let quoted: String = identifier.chars().take(40).collect();
    Error::new(
        ErrorKind::NotFound,
        format!("there is no backup {quoted:?}"),
    )
    .with_hint("`pgmoneta-cli list-backup` shows the labels")
}
