//! The file system of a directory: free space, and syncing a tree.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Result};
use crate::sys;

/// The space of a file system; bytes unless stated otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes available to unprivileged processes. A quota of the user may allow fewer.
    pub free: u64,
    /// The size of the file system, bytes; 0 if it does not say, as some network file systems.
    pub total: u64,
    /// Inodes available to unprivileged processes; `u64::MAX` if there is no limit.
    pub free_files: u64,
    /// The device number, which tells file systems apart.
    pub device: u64,
}

impl Space {
    /// Whether the file system says how large it is.
    pub fn is_known(&self) -> bool {
        self.total > 0
    }
}

/// A directory, opened before a tree is written below it, so that the sync at the end learns of
/// every write error since (Linux reports a write-back error to a descriptor once, if it was open
/// when the error happened).
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

    /// The space of the file system of `path`.
    pub fn space(path: &Path) -> Result<Space> {
        let action = || format!("ask for the free space of {}", path.display());
        let stat = rustix::fs::statvfs(path).with_context(action)?;
        let device = path.metadata().with_context(action)?.dev();
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            // A file system without a fixed number of inodes reports 0.
            free_files: if stat.f_files == 0 {
                u64::MAX
            } else {
                stat.f_favail
            },
            device,
        })
    }

    /// Makes all that was written below the directory durable: by one `syncfs` where that reports
    /// write errors, else file by file. Other file systems mounted below are included; symbolic
    /// links are not followed.
    pub fn sync(&self) -> Result<()> {
        if !sys::syncfs_is_reliable(&self.directory) {
            return sync_tree(&self.path);
        }
        sync_filesystem(&self.directory)
            .with_context(|| format!("sync the file system of {}", self.path.display()))?;
        // Before Linux 5.17 syncfs does not report an aborted journal; fsync does.
        super::sync_directory(&self.path)?;
        let found = self.directory.metadata();
        let device = found
            .with_context(|| format!("look at {}", self.path.display()))?
            .dev();
        sync_other_filesystems(&self.path, device)
    }
}

#[cfg(target_os = "linux")]
fn sync_filesystem(directory: &File) -> Result<()> {
    rustix::fs::syncfs(directory).map_err(Into::into)
}

#[cfg(not(target_os = "linux"))]
fn sync_filesystem(directory: &File) -> Result<()> {
    directory.sync_all().map_err(Into::into)
}

/// Syncs the directories below `path` that are on another file system than `device`, and all in
/// them.
fn sync_other_filesystems(path: &Path, device: u64) -> Result<()> {
    let action = || format!("look at {}", path.display());
    for entry in std::fs::read_dir(path).with_context(action)? {
        let entry = entry.with_context(action)?;
        if !entry.file_type().with_context(action)?.is_dir() {
            continue;
        }
        if entry.metadata().with_context(action)?.dev() == device {
            sync_other_filesystems(&entry.path(), device)?;
        } else {
            sync_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// Syncs every file and directory below `path`, and `path`; symbolic links are not followed. Files
/// should already be synced by the descriptor that wrote them (see [`super::StagedFile::close`]):
/// the kernel may drop an error for which no descriptor was open.
fn sync_tree(path: &Path) -> Result<()> {
    let action = || format!("sync {}", path.display());
    for entry in std::fs::read_dir(path).with_context(action)? {
        let entry = entry.with_context(action)?;
        let kind = entry.file_type().with_context(action)?;
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
        let result = sync_tree(&root)
            .and_then(|()| Filesystem::open(&root)?.sync())
            .and_then(|()| sync_other_filesystems(&root, 0));
        std::fs::remove_dir_all(&root).unwrap();
        result.unwrap();
    }
}
