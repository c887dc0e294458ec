//! Locks between processes.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::FileIdentity;
use crate::error::{Context, Failure, Kind, Result};

/// The longest content of a lock file, in bytes: a pid with some blanks.
const LONGEST: u64 = 64;

/// A file that at most one process has locked, with that process's pid in it. The lock belongs to the open file:
/// it lives on in a forked child and ends with the last process that has it, however that ends, so that a file that
/// was left behind locks nobody out.
#[derive(Debug)]
pub struct LockFile {
    file: File,
    path: PathBuf,
}

impl LockFile {
    /// Opens the file, making it if it is not there, locks it and gives it the permission bits `mode`. [`Kind::Busy`] if another process has
    /// it; the message says which. [`Kind::Permission`] if the file is not what we would have made; it is not changed then.
    pub fn acquire(path: &Path, mode: u32) -> Result<LockFile> {
        let doing = || format!("lock {}", path.display());
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(mode)
                // Where others may write, a symbolic link would make us write to a file of their choice, and a pipe would
                // let us wait.
                .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
                .open(path)
                .with_context(doing)?;
            check_kind(&file).with_context(doing)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(held(file).context(doing())),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(Failure::from(error).context(doing())),
            }
            let lock = LockFile {
                file,
                path: path.to_owned(),
            };
            // Its last holder may have removed it after we opened it; then the name is free, or another file's.
            if !lock.is_in_place() {
                continue;
            }
            lock.check_content().with_context(doing)?;
            if lock.file.metadata().with_context(doing)?.mode() & 0o777 != mode {
                // The umask took bits away, or somebody changed them.
                let permissions = Permissions::from_mode(mode);
                lock.file.set_permissions(permissions).with_context(doing)?;
            }
            return Ok(lock);
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to the file.
    pub fn is_in_place(&self) -> bool {
        match (
            FileIdentity::of(&self.file),
            FileIdentity::named(&self.path),
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

    /// A path that was mistyped leads to something else than a lock file.
    fn check_content(&self) -> Result<()> {
        let mut text = Vec::new();
        (&self.file).take(LONGEST + 1).read_to_end(&mut text)?;
        let first = text.split(u8::is_ascii_whitespace).next();
        let pid = first.is_none_or(|word| word.iter().all(u8::is_ascii_digit));
        if pid && text.len() <= usize::try_from(LONGEST).unwrap_or(usize::MAX) {
            return Ok(());
        }
        Err(Failure::new(
            Kind::Permission,
            "it has other content than the number of a process",
        )
        .hint("name another path, or remove the file if nobody needs it"))
    }
}

/// Checks that a file is a regular one, is ours, and has no other name: a hard link that somebody else made would have us
/// write to the file of another name.
fn check_kind(file: &File) -> Result<()> {
    let metadata = file.metadata()?;
    let ours = rustix::process::geteuid().as_raw();
    let wrong = if !metadata.is_file() {
        "it is not a regular file".to_owned()
    } else if metadata.uid() != ours {
        format!("it belongs to user {}, not to us", metadata.uid())
    } else if metadata.nlink() > 1 {
        format!("it has {} names (hard links)", metadata.nlink())
    } else {
        return Ok(());
    };
    Err(Failure::new(Kind::Permission, wrong)
        .hint("remove it, and look for who made it; or name a path where only we may write"))
}

fn held(file: File) -> Failure {
    let mut text = String::new();
    // For the message only: a pid that cannot be read is left out.
    let _ = file.take(20).read_to_string(&mut text);
    match text.trim().parse::<u32>() {
        Ok(pid) => Failure::new(Kind::Busy, format!("process {pid} has it")),
        Err(_) => Failure::new(Kind::Busy, "another process has it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        let path = std::env::temp_dir().join(format!("pgmoneta-lock-{}", std::process::id()));
        std::fs::write(&path, "99999999 a stale pid that is longer\n").unwrap();
        let mut first = LockFile::acquire(&path, 0o600).unwrap();
        first.write_pid().unwrap();
        let pid = std::process::id();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
        let refused = LockFile::acquire(&path, 0o600).unwrap_err();
        assert_eq!(refused.kind(), Kind::Busy);
        assert!(
            refused.message().contains(&format!("process {pid} ")),
            "{refused}"
        );
        drop(first);
        let third = LockFile::acquire(&path, 0o600).unwrap();
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
    fn what_is_no_lock_file_is_not_touched() {
        let root = std::env::temp_dir().join(format!("pgmoneta-locks-{}", std::process::id()));
        std::fs::create_dir(&root).unwrap();
        let (path, secret) = (root.join("lock"), root.join("secret"));
        let refused = |why: &str| {
            let failure = LockFile::acquire(&path, 0o640).unwrap_err();
            assert_eq!(failure.kind(), Kind::Permission, "{failure}");
            assert!(failure.message().contains(why), "{failure}");
        };
        std::fs::write(&secret, "c2VjcmV0\n").unwrap();
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
        std::fs::hard_link(&secret, &path).unwrap();
        refused("2 names");
        std::fs::rename(&secret, root.join("away")).unwrap();
        std::fs::remove_file(root.join("away")).unwrap();
        // The path itself, named by mistake.
        refused("other content");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "c2VjcmV0\n");
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        refused("regular");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
