//! How much of a backup is shared with other backups.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::hand_over::links_to;
use super::layout::BACKUP_WAL_DIRECTORY;
use super::{Backup, Repository};
use crate::error::{Context as _, Result};

impl Repository {
    /// The bytes of the stored files of a backup that another backup has too: as a hard link, or as
    /// a symbolic link from one to the other. The files are looked at one by one.
    pub fn shared_size(&self, backup: &Backup) -> Result<u64> {
        let linked_from = self.linked_from(backup)?;
        let mut shared = 0_u64;
        let mut directories = vec![PathBuf::new()];
        while let Some(directory) = directories.pop() {
            let at = backup.path.join(&directory);
            let action = || format!("list {}", at.display());
            for entry in std::fs::read_dir(&at).with_context(action)? {
                let entry = entry.with_context(action)?;
                let path = directory.join(entry.file_name());
                let found = entry.metadata().with_context(action)?;
                if found.is_dir() {
                    directories.push(path);
                    continue;
                }
                let size = if found.is_symlink() {
                    // A broken link shares nothing.
                    let located = backup.locate(&path).ok();
                    let found = located.and_then(|located| located.path.metadata().ok());
                    found.map_or(0, |found| found.len())
                } else if found.nlink() > self.own_names(&path, found.ino())
                    || linked_from.contains(&path)
                {
                    found.len()
                } else {
                    0
                };
                shared = shared.saturating_add(size);
            }
        }
        Ok(shared)
    }

    /// How many names a file has that is in one backup only: WAL is in the archive too.
    fn own_names(&self, path: &Path, inode: u64) -> u64 {
        let is_wal = path.parent() == Some(Path::new(BACKUP_WAL_DIRECTORY));
        let Some(name) = path.file_name().filter(|_| is_wal) else {
            return 1;
        };
        let archived = self.wal_path().join(name).symlink_metadata();
        if archived.is_ok_and(|found| found.ino() == inode) {
            2
        } else {
            1
        }
    }

    /// The files to which symbolic links of other backups lead.
    fn linked_from(&self, backup: &Backup) -> Result<BTreeSet<PathBuf>> {
        let mut paths = BTreeSet::new();
        for other in self.backups()? {
            // Links lead to older backups.
            let beside = other.path.parent() == backup.path.parent();
            if beside && other.label > backup.label && other.may_have_symbolic_links() {
                let links = links_to(&other, &backup.label)?.into_iter();
                paths.extend(links.map(|(_, owned)| owned));
            }
        }
        Ok(paths)
    }
}
