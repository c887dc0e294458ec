//! Directories, and the names in them.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::atomic::parent;
use crate::error::{Context, Failure, Kind, Result};

/// Makes the names in a directory durable. A file system that cannot do that is [`Kind::Configuration`]; PostgreSQL goes
/// on without (`fsync_fname_ext`, `fd.c`).
pub fn sync_directory(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    if let Err(error) = &synced
        && rustix::io::Errno::from_io_error(error).is_some_and(is_refusal)
    {
        let message = format!(
            "sync directory {}: the file system cannot do that ({error})",
            path.display()
        );
        return Err(Failure::new(Kind::Configuration, message)
            .hint("a power cut may take files away here: use another file system"));
    }
    synced.with_context(|| format!("sync directory {}", path.display()))
}

/// Whether a file system says that it cannot sync directories.
fn is_refusal(error: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    [Errno::INVAL, Errno::BADF, Errno::NOSYS, Errno::OPNOTSUPP].contains(&error)
}

/// Makes a directory of mode 0700 in an existing one; one that is there already is fine. Not synced.
pub fn create_directory(path: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result.with_context(|| format!("create directory {}", path.display())),
    }
}

/// Whether nothing is in a directory but hidden files and `lost+found`, which the root of a file system may have.
pub fn is_empty_directory(path: &Path) -> Result<bool> {
    let doing = || format!("read directory {}", path.display());
    for entry in std::fs::read_dir(path).with_context(doing)? {
        let name = entry.with_context(doing)?.file_name();
        if name != "lost+found" && !name.as_encoded_bytes().starts_with(b".") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes a directory of mode 0700 in an existing one; fails if there is anything of that name. Not synced.
pub fn create_new_directory(path: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.with_context(|| format!("create directory {}", path.display()))
}

/// Makes a directory of mode 0700 and those above it that are missing, durably.
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

/// Gives a file a second name. Not synced.
pub fn hard_link(from: &Path, to: &Path) -> Result<()> {
    std::fs::hard_link(from, to)
        .with_context(|| format!("link {} to {}", from.display(), to.display()))
}

/// Makes a symbolic link with the text `target`. Not synced.
pub fn link_relative(target: &Path, link: &Path) -> Result<()> {
    std::os::unix::fs::symlink(target, link).with_context(|| {
        format!(
            "make symbolic link {} to {}",
            link.display(),
            target.display()
        )
    })
}

/// Removes a file and makes that durable; one that is gone already is fine.
pub fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => {
            result.with_context(|| format!("remove {}", path.display()))?;
            sync_directory(parent(path))
        }
    }
}

/// Removes a file whose return after a power cut would do no harm: not synced. One that is gone already is fine.
pub fn discard_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.with_context(|| format!("remove {}", path.display())),
    }
}

/// Removes a directory unless there is something in it; whether it is gone. Not synced.
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

/// Removes a directory with all that is in it; symbolic links are removed, not followed. One that is gone already is
/// fine.
pub fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => {
            result.with_context(|| format!("remove directory {}", path.display()))?;
            sync_directory(parent(path))
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_cannot_sync_directories_is_named_as_such() {
        let refused = sync_directory(Path::new("/proc/self")).unwrap_err();
        assert_eq!(refused.kind(), Kind::Configuration, "{refused}");
        assert!(refused.advice().is_some());
    }
}
