//! The directories of a server: made once, found ever after.

use std::path::Path;

use super::Repository;
use super::backup::complete;
use super::layout::{BACKUPS, BACKUPS_OF_C, MADE, SYSTEM, WAL};
use crate::error::{Failure, Kind, Result};
use crate::storage::{self, Place, Places};

/// What is in the file [`MADE`].
const MADE_TEXT: &str =
    "Backups were made. Where this file is and no backup, their directory is not mounted.\n";

impl Repository {
    /// Makes what is missing of the directories below `root`, which lies in the places `above`.
    pub(super) fn make(root: &Path, above: &Places) -> Result<Repository> {
        for directory in [root.to_owned(), root.join(WAL), root.join(BACKUPS)] {
            if !directory.is_dir() {
                storage::create_directory(&directory)?;
                storage::sync_directory(directory.parent().unwrap_or(root))?;
            }
        }
        Repository::hold(root, above)
    }

    /// Finds the directories below `root`, which lies in the places `above`, and which were made or found before.
    pub(super) fn open(root: &Path, above: &Places) -> Result<Repository> {
        let repository = Repository::hold(root, above)?;
        if !root.join(MADE).exists() || repository.has_backups()? {
            return Ok(repository);
        }
        let message = format!(
            "{} has no backup, though there were some: it is not mounted, or they were removed",
            repository.backup_path().display()
        );
        Err(Failure::new(Kind::NotFound, message))
    }

    /// Takes over the directories of an earlier version below `root`, which kept its backups where the C program does.
    pub(super) fn take_over(root: &Path, above: &Places) -> Result<Repository> {
        let earlier = [root.join(WAL), root.join(BACKUPS_OF_C)];
        if !root.join(BACKUPS).is_dir() {
            earlier
                .iter()
                .try_for_each(|path| Place::hold(path).map(drop))?;
            return Repository::make(root, above);
        }
        Repository::hold(root, above)
    }

    fn hold(root: &Path, above: &Places) -> Result<Repository> {
        let mut places = above.clone();
        for directory in [root.to_owned(), root.join(WAL), root.join(BACKUPS)] {
            places = places.and(Place::hold(&directory)?);
        }
        Ok(Repository {
            root: root.to_owned(),
            places,
        })
    }

    /// Whether the repository at `root` belongs to a cluster already.
    pub(super) fn is_bound(root: &Path) -> bool {
        root.join(SYSTEM).exists()
    }

    /// Whether a daemon has worked at `root`, ours or that of the C program: there is something in one of its directories.
    pub(super) fn is_used(root: &Path) -> bool {
        let mut directories = [WAL, BACKUPS, BACKUPS_OF_C].into_iter();
        Repository::is_bound(root)
            || directories
                .any(|name| storage::is_empty_directory(&root.join(name)).is_ok_and(|empty| !empty))
    }

    /// Notes whether there are backups, so that their loss is seen at the next start.
    pub fn note_backups(&self) -> Result<()> {
        let made = self.path().join(MADE);
        match (self.has_backups()?, made.exists()) {
            (true, false) => {
                self.check_place()?;
                storage::replace(&made, MADE_TEXT.as_bytes())
            }
            (false, true) => storage::remove_file(&made),
            _ => Ok(()),
        }
    }

    fn has_backups(&self) -> Result<bool> {
        Ok(!complete(&self.backup_path())?.is_empty())
    }
}
