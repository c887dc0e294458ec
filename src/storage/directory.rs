//! Directories and their entries.

use std::fs::{DirBuilder, File, FileType};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys::{Right, Stop, check_rights};

/// Makes the entries of a directory durable. A file system that cannot do that is
/// [`ErrorKind::Configuration`]; PostgreSQL ignores it (`fsync_fname_ext`, `fd.c`).
pub fn sync_directory(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    if let Err(error) = &synced
        && rustix::io::Errno::from_io_error(error).is_some_and(is_unsupported)
    {
        let message = format!(
            "sync directory {}: the file system cannot do that ({error})",
            path.display()
        );
        return Err(Error::new(ErrorKind::Configuration, message)
            .with_hint("a power failure may lose files here: use another file system"));
    }
    synced.with_context(|| format!("sync directory {}", path.display()))
}

/// Whether the errno says that the file system cannot sync directories.
fn is_unsupported(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    [Errno::INVAL, Errno::BADF, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

/// Creates a directory of mode 0700 in an existing one; it may exist. Not synced.
pub fn create_directory(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result.with_context(|| format!("create directory {}", path.display())),
    }
}

/// Fails if [`create_directory`] would, without creating a directory. That the directory above is
/// missing is no error.
pub fn check_create_directory(path: &Path) -> Result<()> {
    let action = || format!("create directory {}", path.display());
    if path.symlink_metadata().is_ok() {
        if path.is_dir() {
            return Ok(());
        }
        return Err(io::Error::from(rustix::io::Errno::EXIST)).with_context(action);
    }
    match path.parent().filter(|parent| parent.is_dir()) {
        Some(parent) => check_rights(parent, &[Right::Write, Right::Search]).with_context(action),
        None => Ok(()),
    }
}

/// Whether nothing is in a directory but hidden files and `lost+found`, which the root of a file
/// system may have.
pub fn is_empty_directory(path: &Path) -> Result<bool> {
    let action = || format!("read directory {}", path.display());
    for entry in std::fs::read_dir(path).with_context(action)? {
        let name = entry.with_context(action)?.file_name();
        if name != "lost+found" && !name.as_encoded_bytes().starts_with(b".") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Creates a directory of mode 0700 in an existing one; fails if the name exists. Not synced.
pub fn create_new_directory(path: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.with_context(|| format!("create directory {}", path.display()))
}

/// Creates a directory of mode 0700 and its missing parents, durably.
pub fn create_directories(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = parent(path);
    create_directories(above)?;
    create_directory(path)?;
    sync_directory(above)
}

/// Renames within one file system and makes it durable.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to)
        .with_context(|| format!("rename {} to {}", from.display(), to.display()))?;
    sync_directory(parent(to))?;
    if parent(from) == parent(to) {
        Ok(())
    } else {
        sync_directory(parent(from))
    }
}

/// Creates a hard link. Not synced.
pub fn hard_link(from: &Path, to: &Path) -> Result<()> {
    std::fs::hard_link(from, to)
        .with_context(|| format!("link {} to {}", from.display(), to.display()))
}

/// Creates a symbolic link to `target`. Not synced.
pub fn create_symlink(target: &Path, link: &Path) -> Result<()> {
    std::os::unix::fs::symlink(target, link).with_context(|| {
        format!(
            "make symbolic link {} to {}",
            link.display(),
            target.display()
        )
    })
}

/// Calls `work` with each entry below the directory `root` that is no directory: its path relative
/// to that, and its type. Symbolic links are not followed.
pub fn for_each_file(
    root: &Path,
    mut work: impl FnMut(PathBuf, FileType) -> Result<()>,
) -> Result<()> {
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let action = || format!("list {}", root.join(&directory).display());
        for entry in std::fs::read_dir(root.join(&directory)).with_context(action)? {
            let entry = entry.with_context(action)?;
            let path = directory.join(entry.file_name());
            let found = entry.file_type().with_context(action)?;
            if found.is_dir() {
                directories.push(path);
            } else {
                work(path, found)?;
            }
        }
    }
    Ok(())
}

/// Removes a file, durably; it may be missing.
pub fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => {
            result.with_context(|| format!("remove {}", path.display()))?;
            sync_directory(parent(path))
        }
    }
}

/// Removes a temporary file, durably. A directory of such a name is not ours: it stays, with a
/// warning, and the answer is `false`.
pub fn remove_temporary(path: &Path) -> Result<bool> {
    if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        log::warn!("{} is a directory, and is ignored", path.display());
        return Ok(false);
    }
    remove_file(path).map(|()| true)
}

/// Removes a file without a sync, for files that may reappear after a power failure; it may be
/// missing.
pub fn remove_file_unsynced(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.with_context(|| format!("remove {}", path.display())),
    }
}

/// Removes a directory if it is empty and returns whether it is gone. Not synced.
pub fn remove_empty_directory(path: &Path) -> Result<bool> {
    match std::fs::remove_dir(path) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(true),
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => Ok(false),
            _ => Err(error).with_context(|| format!("remove directory {}", path.display())),
        },
    }
}

/// Removes a directory tree, durably; symbolic links are removed, not followed. It may be missing.
pub fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => {
            result.with_context(|| format!("remove directory {}", path.display()))?;
            sync_directory(parent(path))
        }
    }
}

/// As [`remove_tree`], which may take minutes: ends with an error once a stop is requested.
pub fn remove_tree_interruptibly(path: &Path, stop: &Stop) -> Result<()> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.with_context(|| format!("look at {}", path.display()))?,
    };
    if !found.is_dir() {
        return remove_file(path);
    }
    remove_directory(path, stop)?;
    sync_directory(parent(path))
}

/// Removes a directory and what is in it. Not synced.
fn remove_directory(path: &Path, stop: &Stop) -> Result<()> {
    let action = || format!("remove directory {}", path.display());
    for entry in std::fs::read_dir(path).with_context(action)? {
        stop.check()?;
        let entry = entry.with_context(action)?;
        if entry.file_type().with_context(action)?.is_dir() {
            remove_directory(&entry.path(), stop)?;
        } else {
            remove_file_unsynced(&entry.path())?;
        }
    }
    std::fs::remove_dir(path).with_context(action)
}

/// The directory of `path`, `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_cannot_sync_directories_is_an_error_with_a_hint() {
        let refused = sync_directory(Path::new("/proc/self")).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Configuration, "{refused}");
        assert!(refused.hint().is_some());
    }
}
