//! Removing a backup.
//!
//! The rename of its directory to `basebackup/.del-<label>` is the instant at which a backup is
//! deleted; its files are removed afterwards. If that is interrupted, the next start finishes it.

use std::path::{Path, PathBuf};

use super::backups::file_names;
use super::layout::REMOVAL_PREFIX;
use super::{Backup, Repository};
use crate::error::{Error, ErrorKind, Result};
use crate::storage;
use crate::sys::Stop;
use crate::unit::Label;

impl Repository {
    /// Removes a backup, of this or of the C program. No other operation may read or remove a
    /// backup of the server at the same time, or rely on this one. [`ErrorKind::Busy`] if it was
    /// retained since `backup` was read.
    ///
    /// On an error the backup is still there, unless the message says that it is deleted: then a
    /// part of its files is left, which [`Repository::finish_removals`] removes.
    pub fn remove_backup(&self, backup: &Backup, stop: &Stop) -> Result<()> {
        let label = &backup.label;
        self.check_is_backup(backup)?;
        let removed = self.removal_directory(label);
        self.check_paths()?;
        // Of an earlier backup with the same label.
        storage::remove_tree_interruptibly(&removed, stop)?;
        self.hand_over(backup, stop)?;
        self.commit_removal(backup, &removed)?;
        // Before the files are removed: without a backup and without this directory the next start
        // would report that the backups are lost.
        self.record_backups()
            .and_then(|()| storage::remove_tree_interruptibly(&removed, stop))
            .map_err(|failure| {
                let text = format!(
                    "the backup is deleted, but its files are not all removed from {}",
                    removed.display()
                );
                failure
                    .context(text)
                    .with_hint("the next start of the daemon removes them")
            })
    }

    /// Removes what interrupted removals of backups left, and returns how many there were. One that
    /// cannot be removed is logged, and stays.
    pub fn finish_removals(&self) -> Result<usize> {
        let mut count = 0;
        for path in self.removals()? {
            self.check_paths()?;
            match storage::remove_tree(&path) {
                Ok(()) => {
                    let path = path.display();
                    log::info!("removed {path}, the rest of a backup that was being deleted");
                    count += 1;
                }
                Err(failure) => log::warn!("{}", failure.message_with_hint()),
            }
        }
        Ok(count)
    }

    /// The directories of backups that are being removed.
    pub(super) fn removals(&self) -> Result<Vec<PathBuf>> {
        let mut names = file_names(&self.backup_path())?;
        names.retain(|name| name.starts_with(REMOVAL_PREFIX));
        let paths = names.iter().map(|name| self.backup_path().join(name));
        Ok(paths.collect())
    }

    /// The directory of the backup `label` while it is removed.
    fn removal_directory(&self, label: &Label) -> PathBuf {
        self.backup_path().join(format!("{REMOVAL_PREFIX}{label}"))
    }

    /// Renames the directory of the backup, durably.
    fn commit_removal(&self, backup: &Backup, to: &Path) -> Result<()> {
        let _guard = self.lock_backup_info();
        if !backup.info.keep && backup.read_again().info.keep {
            let text = "the backup was retained meanwhile";
            return Err(Error::new(ErrorKind::Busy, text));
        }
        let from = &backup.path;
        let Err(failure) = storage::rename(from, to) else {
            return Ok(());
        };
        // It may be renamed, but not durably: then its files must not be removed.
        if from.symlink_metadata().is_err() && to.symlink_metadata().is_ok() {
            storage::rename(to, from)?;
        }
        Err(failure)
    }

    /// Whether the path is that of a backup of this server.
    fn check_is_backup(&self, backup: &Backup) -> Result<()> {
        let mut directories = [self.backup_path(), self.c_backup_path()].into_iter();
        let label = backup.label.as_str();
        let path = backup.path.display();
        if !directories.any(|directory| backup.path == directory.join(label)) {
            let text = format!("{path} is no backup of this server");
            return Err(Error::new(ErrorKind::Internal, text));
        }
        if backup.path.is_symlink() {
            let text = format!("{path} is a symbolic link: the backup is elsewhere");
            return Err(Error::new(ErrorKind::Unsupported, text)
                .with_hint("move the backup back, or remove the link and the backup by hand"));
        }
        Ok(())
    }
}
