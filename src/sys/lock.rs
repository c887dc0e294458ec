//! Lock files with a pid, locked by flock(2).

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::FileIdentity;
use super::user::{Right, check_rights};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::unit::to_usize;

/// The maximum size of a lock file, in bytes: a pid and white space.
const MAX_CONTENT: u64 = 64;

/// A locked file with the pid of the process that holds the lock. The lock belongs to the open file
/// description: a forked child inherits it, and it is released when the last process that has it
/// exits or crashes, so that a stale file does not block other processes.
#[derive(Debug)]
pub struct LockFile {
    file: File,
    path: PathBuf,
}

impl LockFile {
    /// Opens or creates the file, locks it and sets its permission bits to `mode`. Fails with
    /// [`ErrorKind::Busy`] if another process holds the lock; the message has its pid. Fails with
    /// [`ErrorKind::Permission`], without changing the file, if it is not a lock file of this user.
    pub fn acquire(path: &Path, mode: u32) -> Result<LockFile> {
        let action = || format!("lock {}", path.display());
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(mode)
                // In a directory that others can write to, a symbolic link could redirect to any
                // file, and opening a pipe could block.
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)
                .with_context(action)?;
            check_file(&file).with_context(action)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(busy_error(file).context(action())),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(Error::from(error).context(action())),
            }
            let lock = LockFile {
                file,
                path: path.to_owned(),
            };
            // The previous holder may have removed the file after it was opened here.
            if !lock.is_in_place() {
                continue;
            }
            check_content(&lock.file).with_context(action)?;
            if lock.file.metadata().with_context(action)?.mode() & 0o777 != mode {
                // The umask has cleared bits, or the mode was changed.
                let permissions = Permissions::from_mode(mode);
                lock.file
                    .set_permissions(permissions)
                    .with_context(action)?;
            }
            return Ok(lock);
        }
    }

    /// Fails if [`LockFile::acquire`] would refuse the file at `path`, without creating or changing
    /// it. A file that another process has locked is accepted.
    pub fn check(path: &Path) -> Result<()> {
        let action = || format!("lock {}", path.display());
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path);
        match opened {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let directory = path.parent().unwrap_or(Path::new("/"));
                let rights = [Right::Write, Right::Search];
                check_rights(directory, &rights).with_context(action)
            }
            opened => {
                let file = opened.with_context(action)?;
                check_file(&file).with_context(action)?;
                check_content(&file).with_context(action)
            }
        }
    }

    /// The path at which it was acquired.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still refers to the locked file.
    pub fn is_in_place(&self) -> bool {
        match (
            FileIdentity::fstat(&self.file),
            FileIdentity::lstat(&self.path),
        ) {
            (Ok(ours), Ok(named)) => ours == named,
            _ => false,
        }
    }

    /// Writes the pid of this process into the file, decimal with a line feed.
    pub fn write_pid(&mut self) -> Result<()> {
        let pid = format!("{}\n", std::process::id());
        self.file
            .rewind()
            .and_then(|()| self.file.set_len(0))
            .and_then(|()| self.file.write_all(pid.as_bytes()))
            .with_context(|| format!("write {}", self.path.display()))
    }
}

/// Checks that a file is a regular file of this user without other hard links: with a hard link
/// another user could redirect writes to any file.
fn check_file(file: &File) -> Result<()> {
    let metadata = file.metadata()?;
    let ours = rustix::process::geteuid().as_raw();
    let reason = if !metadata.is_file() {
        "it is not a regular file".to_owned()
    } else if metadata.uid() != ours {
        format!("it belongs to user {}, not to this user", metadata.uid())
    } else if metadata.nlink() > 1 {
        format!("it has {} names (hard links)", metadata.nlink())
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Permission, reason)
        .with_hint("remove it and find out who made it, or set a path in a directory of this user"))
}

/// Fails if the file has other content than a pid: the path may be mistyped.
fn check_content(file: &File) -> Result<()> {
    let mut text = Vec::new();
    file.take(MAX_CONTENT + 1).read_to_end(&mut text)?;
    let first = text.split(u8::is_ascii_whitespace).next();
    let pid = first.is_none_or(|word| word.iter().all(u8::is_ascii_digit));
    if pid && text.len() <= to_usize(MAX_CONTENT) {
        return Ok(());
    }
    Err(
        Error::new(ErrorKind::Permission, "it does not contain a process ID")
            .with_hint("set another path, or remove the file if it is not needed"),
    )
}

fn busy_error(file: File) -> Error {
    let mut text = String::new();
    // For the message only: a pid that cannot be read is omitted.
    let _ = file.take(20).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(pid) => Error::new(ErrorKind::Busy, format!("process {pid} holds the lock")),
        Err(_) => Error::new(ErrorKind::Busy, "another process holds the lock"),
    }
}

/// Repeats `acquire` while the lock that was just released is held: a process that another test is
/// starting has the descriptor until it executes its program.
#[cfg(test)]
pub(crate) fn acquire_released<T>(acquire: impl Fn() -> Result<T>) -> T {
    loop {
        match acquire() {
            Err(error) if error.kind() == ErrorKind::Busy => std::thread::yield_now(),
            result => return result.unwrap(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_released() {
        let path = std::env::temp_dir().join(format!("pgmoneta-lock-{}", std::process::id()));
        std::fs::write(&path, "99999999 a stale pid that is longer\n").unwrap();
        let mut first = LockFile::acquire(&path, 0o600).unwrap();
        first.write_pid().unwrap();
        let pid = std::process::id();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
        let refused = LockFile::acquire(&path, 0o600).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert!(
            refused.message().contains(&format!("process {pid} ")),
            "{refused}"
        );
        drop(first);
        let third = acquire_released(|| LockFile::acquire(&path, 0o600));
        std::fs::remove_file(&path).unwrap();
        assert!(
            LockFile::acquire(&path, 0o600).is_ok(),
            "another file of that name"
        );
        drop(third);
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/nonexistent", &path).unwrap();
        assert!(LockFile::acquire(&path, 0o600).is_err(), "a symbolic link");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn other_files_are_refused_and_not_changed() {
        let root = std::env::temp_dir().join(format!("pgmoneta-locks-{}", std::process::id()));
        std::fs::create_dir(&root).unwrap();
        let (path, secret) = (root.join("lock"), root.join("secret"));
        let refused = |why: &str| {
            let failure = LockFile::acquire(&path, 0o640).unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Permission, "{failure}");
            assert!(failure.message().contains(why), "{failure}");
        };
        std::fs::write(&secret, "c2VjcmV0\n").unwrap();
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        std::fs::hard_link(&secret, &path).unwrap();
        refused("2 names");
        std::fs::rename(&secret, root.join("away")).unwrap();
        std::fs::remove_file(root.join("away")).unwrap();
        // A mistyped path to a file with other content.
        refused("does not contain a process ID");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "c2VjcmV0\n");
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        refused("regular");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
