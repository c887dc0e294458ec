//! Directories that belong to one writer until all in them is complete.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::error::{Context, Failure, Kind, Result};

/// The name of the file that claims its directory.
const NAME: &str = ".pgmoneta.unfinished";

/// The right to write to a directory: a file in it that only one can make, locked while its maker lives. Of a process
/// that died it stays, and says that the directory is unfinished.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    /// Has the lock.
    _file: File,
}

/// The claim of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// What it said; a line.
    pub text: String,
    /// Whether it still lives.
    pub alive: bool,
}

impl Claim {
    /// Claims the directory, and says in the file what for, in a line. [`Kind::Busy`] if it is claimed already. Not
    /// synced.
    pub fn take(directory: &Path, text: &str) -> Result<Claim> {
        let path = directory.join(NAME);
        let doing = || format!("create {}", path.display());
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let mut file = match made {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Failure::new(Kind::Busy, "it is there already").context(doing()));
            }
            made => made.with_context(doing)?,
        };
        let claim = |file: &mut File| {
            lock(file)?;
            file.write_all(text.as_bytes())
        };
        if let Err(error) = claim(&mut file) {
            super::discard_file(&path)?;
            return Err(error).with_context(doing);
        }
        Ok(Claim { path, _file: file })
    }

    /// The claim of another one on the directory, if there is one.
    pub fn of_other(directory: &Path) -> Result<Option<Claimed>> {
        let path = directory.join(NAME);
        let doing = || format!("read {}", path.display());
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut file = match rustix::fs::open(&path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => File::from(opened.with_context(doing)?),
        };
        let alive = matches!(
            flock(&file, FlockOperation::NonBlockingLockShared),
            Err(Errno::WOULDBLOCK)
        );
        let mut text = Vec::new();
        let mut limited = (&mut file).take(1024);
        limited.read_to_end(&mut text).with_context(doing)?;
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Ok(Some(Claimed { text, alive }))
    }

    /// Gives up a directory in which all is complete, durably.
    pub fn release(self) -> Result<()> {
        super::remove_file(&self.path)
    }

    /// Gives up a directory from which everything was removed that was written to it. Not synced.
    pub fn abandon(self) -> Result<()> {
        super::discard_file(&self.path)
    }
}

/// Locks the file; where there are no locks its being there must do.
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
    fn a_directory_belongs_to_one_and_says_so_when_that_one_is_gone() {
        let root = std::env::temp_dir().join(format!("pgmoneta-claim-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        assert_eq!(Claim::of_other(&root).unwrap(), None);
        let first = Claim::take(&root, "restore of A\n").unwrap();
        assert_eq!(Claim::take(&root, "x").unwrap_err().kind(), Kind::Busy);
        let mut seen = Claimed {
            text: "restore of A".to_owned(),
            alive: true,
        };
        assert_eq!(Claim::of_other(&root).unwrap(), Some(seen.clone()));
        // As if its process had died.
        drop(first);
        seen.alive = false;
        assert_eq!(Claim::of_other(&root).unwrap(), Some(seen));
        assert!(Claim::take(&root, "x").is_err());
        std::fs::remove_file(root.join(NAME)).unwrap();
        Claim::take(&root, "y").unwrap().release().unwrap();
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
