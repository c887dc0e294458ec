//! Directories that must stay the same inode: after an unmount, writes to the same path go to
//! another file system.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::regular::open_nonblocking;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys::FileIdentity;

/// A directory or file that is kept open, so that its inode number is not reused and its file
/// system cannot be unmounted by accident.
#[derive(Debug)]
pub struct PinnedPath {
    path: PathBuf,
    identity: FileIdentity,
    _file: File,
}

impl PinnedPath {
    /// Opens what is at `path` now.
    pub fn open(path: &Path) -> Result<PinnedPath> {
        let action = || format!("open {}", path.display());
        let file = open_nonblocking(path).with_context(action)?;
        Ok(PinnedPath {
            path: path.to_owned(),
            identity: FileIdentity::fstat(&file).with_context(action)?,
            _file: file,
        })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the path still leads to the same inode: [`ErrorKind::NotFound`] if not.
    pub fn check(&self) -> Result<()> {
        check(&self.path, self.identity).map_err(|failure| {
            failure.with_hint(
                "nothing is written until it is back; if it was replaced on \
                 purpose, restart the daemon",
            )
        })
    }

    /// Checks that `path` leads to the open file with that identity: [`ErrorKind::NotFound`] if
    /// not.
    pub fn check_identity(path: &Path, file: FileIdentity) -> Result<()> {
        check(path, file).map_err(|failure| {
            failure.with_hint(
                "it is received again from its start; find out what removes or replaces files of \
                 the archive",
            )
        })
    }
}

/// Checks that `path` leads to the expected inode.
fn check(path: &Path, expected: FileIdentity) -> Result<()> {
    let quoted = path.display();
    let message = match FileIdentity::stat(path) {
        Ok(found) if found == expected => return Ok(()),
        Ok(_) => {
            format!(
                "{quoted} is not the one that was there at the start: was it unmounted or replaced?"
            )
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("{quoted} is not there any more: was it unmounted, moved or removed?")
        }
        Err(error) => return Err(error).with_context(|| format!("look at {quoted}")),
    };
    Err(Error::new(ErrorKind::NotFound, message))
}

/// Pinned paths, parents first. Clones share the open files.
#[derive(Clone, Debug, Default)]
pub struct PinnedPaths(Vec<Arc<PinnedPath>>);

impl PinnedPaths {
    /// A copy with one more path.
    #[must_use]
    pub fn with(&self, pinned: PinnedPath) -> PinnedPaths {
        let mut paths = self.0.clone();
        paths.push(Arc::new(pinned));
        PinnedPaths(paths)
    }

    /// Checks all paths. Call it before a write below them.
    pub fn check(&self) -> Result<()> {
        self.0.iter().try_for_each(|pinned| pinned.check())
    }

    /// Whether both share the same open files.
    pub fn is_same_as(&self, other: &PinnedPaths) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_moved_directory_is_an_error_until_it_is_back() {
        let root =
            std::env::temp_dir().join(format!("pgmoneta-pinned-path-{}", std::process::id()));
        let (path, away) = (root.join("here"), root.join("away"));
        fs::create_dir_all(path.join("inner")).unwrap();
        let paths = PinnedPaths::default()
            .with(PinnedPath::open(&path).unwrap())
            .with(PinnedPath::open(&path.join("inner")).unwrap());
        paths.check().unwrap();
        fs::rename(&path, &away).unwrap();
        let gone = paths.check().unwrap_err();
        fs::create_dir_all(path.join("inner")).unwrap();
        let other = paths.check().unwrap_err();
        fs::remove_dir_all(&path).unwrap();
        fs::rename(&away, &path).unwrap();
        let back = paths.check();
        // A recreated directory is never taken for the old one, even with the same inode number.
        fs::remove_dir(path.join("inner")).unwrap();
        fs::create_dir(path.join("inner")).unwrap();
        let anew = paths.check();
        fs::remove_dir_all(&root).unwrap();
        assert!(gone.message().contains("not there any more"), "{gone}");
        assert!(
            other.message().contains("not the one that was there"),
            "{other}"
        );
        assert_eq!(
            (gone.kind(), other.kind()),
            (ErrorKind::NotFound, ErrorKind::NotFound)
        );
        back.unwrap();
        assert!(anew.is_err());
        assert!(paths.is_same_as(&paths.clone()));
    }
}
