//! Locks between processes.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{Context, Failure, Kind, Result};

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
    /// it; the message says which.
    pub fn acquire(path: &Path, mode: u32) -> Result<LockFile> {
        let doing = || format!("lock {}", path.display());
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(mode)
                // Where others may write, a symbolic link would make us write to a file of their choice.
                .custom_flags(libc::O_NOFOLLOW)
                .open(path)
                .with_context(doing)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(held(file).context(doing())),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(Failure::from(error).context(doing())),
            }
            // Its last holder may have removed it after we opened it; then the name is free, or another file's.
            let ours = file.metadata().with_context(doing)?;
            if ours.mode() & 0o777 != mode {
                // The umask took bits away, or somebody changed them.
                file.set_permissions(Permissions::from_mode(mode))
                    .with_context(doing)?;
            }
            let named = std::fs::metadata(path);
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
                return Ok(LockFile {
                    file,
                    path: path.to_owned(),
                });
            }
        }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
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
}
