//! The directories of a server: made once, found ever after.

use std::path::Path;

use super::Repository;
use super::layout::{BACKUPS, BACKUPS_OF_C, MARK, SYSTEM, WAL};
use crate::error::{Failure, Kind, Result};
use crate::storage::{self, Place, Places};

/// What is in the file [`MARK`].
const MARK_TEXT: &str =
    "The backups of a server are here. Without this file nothing is written here.\n";

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
        let directory = repository.backup_path();
        if directory.join(MARK).exists() {
            return Ok(repository);
        }
        let message = format!(
            "{} is not the directory of the backups, or it is not mounted: there is no {MARK} in it",
            directory.display()
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

    /// Notes that the directory of the backups is the right one.
    pub(super) fn mark(&self) -> Result<()> {
        let mark = self.backup_path().join(MARK);
        if mark.exists() {
            return Ok(());
        }
        storage::create_new(&mark, MARK_TEXT.as_bytes())
    }
}
