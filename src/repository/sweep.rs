//! Cleanup at the start: removing incomplete backups, the rest of deleted ones and temporary files,
//! and moving backups of version 0.1.0.

use std::path::{Path, PathBuf};

use super::backups::{complete_labels, file_names};
use super::hand_over::LINK_TEMPORARY;
use super::layout::{INFO, STAGING_PREFIX};
use super::{BackupInfo, Manifest, ManifestFile, Origin, Repository, c_sums};
use crate::codec::Suffixes;
use crate::crypto::MasterKey;
use crate::error::{Error, ErrorKind, Result};
use crate::storage;
use crate::unit::{Encryption, Label, Timeline};

impl Repository {
    /// Removes incomplete backups, the rest of deleted ones and temporary files after a crash, and
    /// returns their number. No other operation may run on the server.
    pub fn sweep(&self) -> Result<usize> {
        let mut count = self.finish_removals()?;
        for directory in [self.backup_path(), self.c_backup_path()] {
            for name in file_names(&directory)? {
                if name.starts_with(STAGING_PREFIX) {
                    let path = directory.join(name);
                    log::info!("remove {}, an incomplete backup", path.display());
                    storage::remove_tree(&path)?;
                    count += 1;
                }
            }
        }
        for label in complete_labels(&self.c_backup_path())? {
            let directory = self.c_backup_path().join(label.as_str());
            count += usize::from(finish_change(&directory)?);
            // Of a hand-over of links.
            let temporary = directory.join(LINK_TEMPORARY);
            if temporary.symlink_metadata().is_ok() {
                storage::remove_file(&temporary)?;
                count += 1;
            }
        }
        if let Some(wal) = self.wal()? {
            count += wal.sweep()?;
        }
        for directory in self.own_directories()? {
            for name in file_names(&directory)? {
                if storage::is_temporary(&name) {
                    let path = directory.join(name);
                    count += usize::from(storage::remove_temporary(&path)?);
                }
            }
        }
        Ok(count)
    }

    /// The directories in which this program creates temporary files.
    fn own_directories(&self) -> Result<Vec<PathBuf>> {
        let mut directories = vec![self.path().to_owned(), self.backup_path()];
        for label in complete_labels(&self.backup_path())? {
            directories.push(self.backup_directory(&label));
        }
        Ok(directories)
    }

    /// Moves the backups of version 0.1.0 out of the directory in which the C program would list
    /// and delete them, and returns their number. One that cannot be moved stays there and can be
    /// used.
    ///
    /// That version did not sign. If there is no backup of a later version yet, encrypted ones are
    /// signed with `key`: their files can only have been written with the key. Afterwards an
    /// encrypted backup without a signature is a forgery. A plain one stays unsigned: anyone who
    /// can write to the repository could have created it.
    pub fn move_backups_of_0_1_0(&self, key: &MasterKey) -> Result<usize> {
        let mut found = complete_labels(&self.c_backup_path())?;
        found.retain(|label| {
            let from = self.c_backup_path().join(label.as_str());
            Origin::detect(&from) == Origin::Own
                && self.backup_directory(label).symlink_metadata().is_err()
        });
        if complete_labels(&self.backup_path())?.is_empty() {
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
            self.check_paths()?;
            match storage::rename(&from, &to) {
                Ok(()) => {
                    log::info!("moved the backup {label} to {}", to.display());
                    count += 1;
                }
                Err(failure) => log::warn!(
                    "{failure}; the C program, if it is started here again, will take this backup \
                     for one of its own"
                ),
            }
        }
        Ok(count)
    }

    /// Signs a backup of version 0.1.0, if its manifest matches backup.sha256.
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
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        info.manifest_sha256 = Some(digest);
        self.check_paths()?;
        info.replace(&directory, label, key)
    }
}

/// Finishes or undoes an interrupted change of the metadata of a backup of the C program; returns
/// whether there was one.
fn finish_change(directory: &Path) -> Result<bool> {
    let sums = c_sums::finish(directory)?;
    let temporary = storage::temporary_path(&directory.join(INFO));
    let info = temporary.symlink_metadata().is_ok();
    storage::remove_file(&temporary)?;
    if sums || info {
        let path = directory.display();
        log::info!("finished or undid an interrupted change of {INFO} in {path}");
    }
    Ok(sums || info)
}

/// Whether a file of a backup of version 0.1.0 is encrypted, or a history file, which that version
/// did not encrypt.
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
            Suffixes::split_name(&name(&file.stored_path)).1.encrypted
                || Timeline::of_history_name(&name(&file.path)).is_some()
        }
    }
}
