//! Exclusive claims on directories that are being written.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::error::{Context, Error, ErrorKind, Result};

/// The file that claims its directory.
const CLAIM_FILE: &str = ".pgmoneta.unfinished";

/// The exclusive right to write to a directory: a file in it, created with O_EXCL and locked while
/// its process lives. If the process dies the file stays and marks the directory as unfinished.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// Holds the `flock`.
    _file: File,
}

/// A claim that was found in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingClaim {
    /// The purpose that the claim states, one line.
    pub text: String,
    /// Whether the process that holds it is alive.
    pub owner_alive: bool,
}

impl Claim {
    /// Claims the directory; `text` states the purpose in one line. [`ErrorKind::Busy`] if it is
    /// claimed already. Not synced.
    pub fn acquire(directory: &Path, text: &str) -> Result<Claim> {
        let path = directory.join(CLAIM_FILE);
        let action = || format!("create {}", path.display());
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let mut file = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::new(ErrorKind::Busy, "it is there already").context(action()));
            }
            made => made.with_context(action)?,
        };
        let lock_and_write = |file: &mut File| {
            lock(file)?;
            file.write_all(text.as_bytes())
        };
        if let Err(error) = lock_and_write(&mut file) {
            super::remove_file_unsynced(&path)?;
            return Err(error).with_context(action);
        }
        Ok(Claim { path, _file: file })
    }

    /// The claim of another process on the directory, if there is one.
    pub fn find(directory: &Path) -> Result<Option<ExistingClaim>> {
        let path = directory.join(CLAIM_FILE);
        let action = || format!("read {}", path.display());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = match rustix::fs::open(&path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => File::from(opened.with_context(action)?),
        };
        let owner_alive = matches!(
            flock(&file, FlockOperation::NonBlockingLockShared),
            Err(Errno::WOULDBLOCK)
        );
        let mut text = Vec::new();
        let mut limited = (&mut file).take(1024);
        limited.read_to_end(&mut text).with_context(action)?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Ok(Some(ExistingClaim { text, owner_alive }))
    }

    /// Removes the claim from a complete directory, durably.
    pub fn release(self) -> Result<()> {
        super::remove_file(&self.path)
    }

    /// Removes the claim from a directory whose new content was removed. Not synced.
    pub fn abandon(self) -> Result<()> {
        super::remove_file_unsynced(&self.path)
    }
}

/// Locks the file; on a file system without locks its existence must do.
fn lock(file: &File) -> io::Result<()> {
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::INTR) => {}
            Ok(()) | Err(Errno::BADF | Errno::NOLCK | Errno::OPNOTSUPP) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_exclusive_and_stays_after_a_crash() {
        let root = std::env::temp_dir().join(format!("pgmoneta-claim-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        assert_eq!(Claim::find(&root).unwrap(), None);
        let first = Claim::acquire(&root, "restore of A\n").unwrap();
        assert_eq!(
            Claim::acquire(&root, "x").unwrap_err().kind(),
            ErrorKind::Busy
        );
        let mut seen = ExistingClaim {
            text: "restore of A".to_owned(),
            owner_alive: true,
        };
        assert_eq!(Claim::find(&root).unwrap(), Some(seen.clone()));
        // As if the process had died.
        drop(first);
        seen.owner_alive = false;
        assert_eq!(Claim::find(&root).unwrap(), Some(seen));
        assert!(Claim::acquire(&root, "x").is_err());
        std::fs::remove_file(root.join(CLAIM_FILE)).unwrap();
        Claim::acquire(&root, "y").unwrap().release().unwrap();
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
