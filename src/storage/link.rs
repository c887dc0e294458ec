//! Names that share the content of another file.
//!
//! Each function gives the content of another file to `path`, which may exist: it is replaced at
//! once, by way of the name `temporary` on the same file system, which a crash may leave. Nothing
//! is synced, unless stated otherwise. Errors of the file system are returned as they are: which
//! links it supports is for the caller to judge.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes `path` a hard link to `from`.
pub fn replace_by_hard_link(from: &Path, temporary: &Path, path: &Path) -> io::Result<()> {
    replace(temporary, path, || std::fs::hard_link(from, temporary))
}

/// Makes `path` a symbolic link to `target`.
pub fn replace_by_symlink(target: &Path, temporary: &Path, path: &Path) -> io::Result<()> {
    replace(temporary, path, || {
        std::os::unix::fs::symlink(target, temporary)
    })
}

/// Makes `path` a copy of `from`, with its permission bits. The content is synced.
pub fn replace_by_copy(from: &Path, temporary: &Path, path: &Path) -> io::Result<()> {
    replace(temporary, path, || {
        std::fs::copy(from, temporary)?;
        File::open(temporary)?.sync_all()
    })
}

fn replace(
    temporary: &Path,
    path: &Path,
    create: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    remove(temporary)?;
    #[cfg(test)]
    faults::step()?;
    let done = create();
    #[cfg(test)]
    faults::step()?;
    let done = done.and_then(|()| std::fs::rename(temporary, path));
    #[cfg(test)]
    faults::step()?;
    // A rename onto another hard link to the same file does nothing: both names stay.
    let removed = remove(temporary);
    done.and(removed)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Lets a test end the work of a thread at any step, as a kill does: with an error, and without the
/// steps that follow.
#[cfg(test)]
pub mod faults {
    use std::cell::Cell;
    use std::io;

    thread_local! {
        static LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
    }

    /// After that many steps of this thread each further one fails.
    pub fn stop_after(steps: u32) {
        LEFT.set(steps);
    }

    pub(super) fn step() -> io::Result<()> {
        let left = LEFT.get().checked_sub(1);
        LEFT.set(left.unwrap_or(0));
        left.map(|_| ())
            .ok_or_else(|| io::Error::other("stopped by the test"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_by_each_kind_and_no_temporary_name_stays() {
        let name = format!("pgmoneta-link-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&root).unwrap();
        let [from, to, temporary] = ["from", "to", ".to.tmp"].map(|name| root.join(name));
        std::fs::write(&from, b"content").unwrap();
        std::fs::write(&to, b"other").unwrap();
        std::fs::write(&temporary, b"left by a crash").unwrap();
        let inode = |path: &Path| path.symlink_metadata().unwrap().ino();
        replace_by_copy(&from, &temporary, &to).unwrap();
        assert!(inode(&to) != inode(&from));
        replace_by_symlink(Path::new("from"), &temporary, &to).unwrap();
        assert_eq!(to.read_link().unwrap(), Path::new("from"));
        // The second time both names are of the same file already.
        for _ in 0..2 {
            replace_by_hard_link(&from, &temporary, &to).unwrap();
            assert_eq!(inode(&to), inode(&from));
            assert!(temporary.symlink_metadata().is_err());
        }
        assert_eq!(std::fs::read(&to).unwrap(), b"content");
        let missing = replace_by_hard_link(&root.join("none"), &temporary, &to);
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(to.exists());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
