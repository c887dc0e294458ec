//! Creating and opening the directories of a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Repository;
use super::backups::complete_labels;
use super::layout::{
    BACKUP_DIRECTORY, BACKUPS_EXIST, C_BACKUP_DIRECTORY, SYSTEM_INFO, WAL_DIRECTORY,
};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::{self, PinnedPath, PinnedPaths};

/// The content of `backup.made`.
const BACKUPS_EXIST_TEXT: &str =
    "There are backups. If none is found, their directory is not mounted.\n";

impl Repository {
    /// Creates the missing directories of a server below `root`; `above` are the parents.
    pub(super) fn create_missing(root: &Path, above: &PinnedPaths) -> Result<Repository> {
        for directory in own_directories(root) {
            if !directory.is_dir() {
                storage::create_directory(&directory)?;
                storage::sync_directory(directory.parent().unwrap_or(root))?;
            }
        }
        Repository::pin(root, above)
    }

    /// Fails if the directories of a server below `root` can be neither opened nor created, without
    /// creating one; `recorded` if `repository.info` has the server.
    pub(super) fn check(root: &Path, above: &PinnedPaths, recorded: bool) -> Result<()> {
        let bound = Repository::is_bound(root) && root.join(BACKUP_DIRECTORY).is_dir();
        if recorded || bound {
            return Repository::open(root, above).map(drop);
        }
        let mut directories = own_directories(root).into_iter();
        directories.try_for_each(|directory| storage::check_create_directory(&directory))
    }

    /// Opens the existing directories of a server below `root`; `above` are the parents.
    pub(super) fn open(root: &Path, above: &PinnedPaths) -> Result<Repository> {
        let repository = Repository::pin(root, above)?;
        // The last backup may have been about to be removed.
        let deleted = !repository.removals()?.is_empty();
        if deleted || !root.join(BACKUPS_EXIST).exists() || repository.has_backups()? {
            return Ok(repository);
        }
        let message = format!(
            "{} has no backup, though there were some: it is not mounted, or they were removed",
            repository.backup_path().display()
        );
        Err(Error::new(ErrorKind::NotFound, message))
    }

    /// Opens the directories of version 0.1.0 below `root`, which stored its backups where the C
    /// program does.
    pub(super) fn open_earlier(root: &Path, above: &PinnedPaths) -> Result<Repository> {
        let earlier = [root.join(WAL_DIRECTORY), root.join(C_BACKUP_DIRECTORY)];
        if !root.join(BACKUP_DIRECTORY).is_dir() {
            earlier
                .iter()
                .try_for_each(|path| PinnedPath::open(path).map(drop))?;
            return Repository::create_missing(root, above);
        }
        Repository::pin(root, above)
    }

    fn pin(root: &Path, above: &PinnedPaths) -> Result<Repository> {
        let mut paths = above.clone();
        for directory in own_directories(root) {
            paths = paths.with(PinnedPath::open(&directory)?);
        }
        Ok(Repository {
            root: root.to_owned(),
            paths,
            shared: Arc::default(),
        })
    }

    /// Whether the repository at `root` has a `system.info`.
    pub(super) fn is_bound(root: &Path) -> bool {
        root.join(SYSTEM_INFO).exists()
    }

    /// Whether this or the C program has used `root`: one of its directories is not empty.
    pub(super) fn was_used(root: &Path) -> bool {
        let mut directories = [WAL_DIRECTORY, BACKUP_DIRECTORY, C_BACKUP_DIRECTORY].into_iter();
        Repository::is_bound(root)
            || directories
                .any(|name| storage::is_empty_directory(&root.join(name)).is_ok_and(|empty| !empty))
    }

    /// Creates or removes `backup.made`, so that a loss of all backups is detected at the next
    /// start.
    pub fn record_backups(&self) -> Result<()> {
        // A new backup may become complete while the last one is removed.
        let _guard = self.lock_backup_info();
        let made = self.path().join(BACKUPS_EXIST);
        match (self.has_backups()?, made.exists()) {
            (true, false) => {
                self.check_paths()?;
                storage::replace(&made, BACKUPS_EXIST_TEXT.as_bytes())
            }
            (false, true) => storage::remove_file(&made),
            _ => Ok(()),
        }
    }

    fn has_backups(&self) -> Result<bool> {
        Ok(!complete_labels(&self.backup_path())?.is_empty())
    }
}

/// The directories that this program makes for a server, each after the one that it is in.
fn own_directories(root: &Path) -> [PathBuf; 3] {
    [
        root.to_owned(),
        root.join(WAL_DIRECTORY),
        root.join(BACKUP_DIRECTORY),
    ]
}
