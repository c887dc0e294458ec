//! At the start: clearing away what never became a backup, and taking over what an earlier version left.

use std::path::{Path, PathBuf};

use super::backup::{complete, names};
use super::layout::STAGING;
use super::{BackupInfo, Manifest, ManifestFile, Origin, Repository};
use crate::codec::Suffixes;
use crate::crypto::MasterKey;
use crate::error::{Failure, Kind, Result};
use crate::storage;
use crate::unit::{Encryption, Label, Timeline};

impl Repository {
    /// Removes what crashes left behind: backups that were being built, and temporary files. How many there were.
    /// Nothing else may be running on the server.
    pub fn sweep(&self) -> Result<usize> {
        let mut count = 0;
        for directory in [self.backup_path(), self.c_backup_path()] {
            for name in names(&directory)? {
                if name.starts_with(STAGING) {
                    let path = directory.join(name);
                    log::info!("remove {}, which was never complete", path.display());
                    storage::remove_tree(&path)?;
                    count += 1;
                }
            }
        }
        if let Some(wal) = self.wal()? {
            count += wal.sweep()?;
        }
        for directory in self.own_directories()? {
            for name in names(&directory)? {
                if name.starts_with('.') && name.ends_with(".tmp") {
                    storage::remove_file(&directory.join(name))?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Where temporary files are ours.
    fn own_directories(&self) -> Result<Vec<PathBuf>> {
        let mut directories = vec![self.path().to_owned(), self.backup_path()];
        for label in complete(&self.backup_path())? {
            directories.push(self.backup_directory(&label));
        }
        Ok(directories)
    }

    /// Moves the backups of version 0.1.0, which lie where the C program would offer and delete them, to where it does not
    /// see them; how many. One that cannot be moved stays where it is, and is read there.
    ///
    /// That version signed nothing. Where there is no backup of a later one yet, those that are encrypted are taken as they
    /// are and signed with `key`: only who has the key could have made their files. Afterwards an encrypted backup without a
    /// signature is one that somebody else has put there. Of a plain one nothing is known, and it stays without a signature:
    /// whoever can write to the repository could make it look like one of that version.
    pub fn adopt(&self, key: &MasterKey) -> Result<usize> {
        let mut found = complete(&self.c_backup_path())?;
        found.retain(|label| {
            let from = self.c_backup_path().join(label.as_str());
            Origin::of(&from) == Origin::Own
                && self.backup_directory(label).symlink_metadata().is_err()
        });
        if complete(&self.backup_path())?.is_empty() {
            for label in &found {
                if let Err(failure) = self.sign(label, key) {
                    log::warn!("the backup {label} stays without a signature: {failure}");
                }
            }
        }
        let mut count = 0;
        for label in found {
            let from = self.c_backup_path().join(label.as_str());
            let to = self.backup_directory(&label);
            self.check_place()?;
            match storage::rename(&from, &to) {
                Ok(()) => {
                    log::info!("moved the backup {label} to {}", to.display());
                    count += 1;
                }
                Err(failure) => log::warn!(
                    "{failure}; the C program, if it is started here again, will take this backup for one of its own"
                ),
            }
        }
        Ok(count)
    }

    /// Signs a backup of version 0.1.0, if its manifest is what its list of digests says.
    fn sign(&self, label: &Label, key: &MasterKey) -> Result<()> {
        let directory = self.c_backup_path().join(label.as_str());
        let (mut info, signature) = BackupInfo::read(&directory, label)?;
        if signature.is_some() {
            return Ok(());
        }
        let digest = Manifest::listed_digest(&directory)?;
        let manifest = Manifest::read(&directory, label, Some(digest))?;
        if info.encryption == Encryption::None || !manifest.all_files().all(is_encrypted) {
            let message = "it is not encrypted, so that nothing proves where it comes from";
            return Err(Failure::new(Kind::Corrupt, message));
        }
        info.manifest_sha256 = Some(digest);
        self.check_place()?;
        info.replace(&directory, label, key)
    }
}

/// Whether a file of a backup of version 0.1.0 is encrypted, or a history file, which that version did not encrypt.
fn is_encrypted(file: &ManifestFile) -> bool {
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    match file.stored {
        Some(stored) => stored.encryption != Encryption::None,
        None => {
            Suffixes::of_name(&name(&file.stored_path)).1.encrypted
                || Timeline::of_history_name(&name(&file.path)).is_some()
        }
    }
}
