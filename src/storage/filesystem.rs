//! The file system under a directory: its room, and syncing all that was written to it.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};

/// The room on a file system, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// What a process without privileges may still write.
    pub free: u64,
    /// All there is.
    pub total: u64,
}

/// A directory, opened before a tree is written below it, so that the sync at the end learns of every write error
/// since (Linux reports a write-back error to a descriptor once, if it was open when the error happened).
pub struct Filesystem {
    directory: File,
    path: PathBuf,
}

impl Filesystem {
    /// Opens the directory `path`.
    pub fn open(path: &Path) -> Result<Filesystem> {
        let directory =
            File::open(path).with_context(|| format!("open directory {}", path.display()))?;
        Ok(Filesystem {
            directory,
            path: path.to_owned(),
        })
    }

    /// The room on the file system of `path`.
    pub fn space(path: &Path) -> Result<Space> {
        let stat = rustix::fs::statvfs(path)
            .with_context(|| format!("ask for the free space of {}", path.display()))?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    /// Makes all that was written below the directory durable: by one `syncfs` where the kernel reports write errors
    /// from it (Linux 5.8 and later), else file by file.
    pub fn sync(&self) -> Result<()> {
        if crate::sys::syncfs_reports_errors() {
            return sync_whole(&self.directory)
                .with_context(|| format!("sync the file system of {}", self.path.display()));
        }
        sync_tree(&self.path)
    }
}

#[cfg(target_os = "linux")]
fn sync_whole(directory: &File) -> Result<()> {
    rustix::fs::syncfs(directory).map_err(Into::into)
}

#[cfg(not(target_os = "linux"))]
fn sync_whole(directory: &File) -> Result<()> {
    directory.sync_all().map_err(Into::into)
}

/// Syncs every file and directory below `path`, and `path`; symbolic links are not followed.
fn sync_tree(path: &Path) -> Result<()> {
    let doing = || format!("sync {}", path.display());
    for entry in std::fs::read_dir(path).with_context(doing)? {
        let entry = entry.with_context(doing)?;
        let kind = entry.file_type().with_context(doing)?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            let file = File::open(entry.path()).and_then(|file| file.sync_all());
            file.with_context(|| format!("sync {}", entry.path().display()))?;
        }
    }
    super::sync_directory(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_a_tree_can_be_synced() {
        let root = std::env::temp_dir().join(format!("pgmoneta-sync-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/c"), b"c").unwrap();
        let result = sync_tree(&root).and_then(|()| Filesystem::open(&root)?.sync());
        std::fs::remove_dir_all(&root).unwrap();
        result.unwrap();
    }
}
