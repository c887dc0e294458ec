//! Directories that must stay what they were: a file system may be unmounted, and what is written then to the same path
//! ends up somewhere else.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::regular::open_at_once;
use crate::error::{Context, Failure, Kind, Result};
use crate::sys::FileIdentity;

/// A directory or file that is held open: as long as it is, its inode number is not given to another one, and its file
/// system cannot be unmounted by accident.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    identity: FileIdentity,
    _held: File,
}

impl Place {
    /// Takes hold of what is at `path` now.
    pub fn hold(path: &Path) -> Result<Place> {
        let doing = || format!("open {}", path.display());
        let held = open_at_once(path).with_context(doing)?;
        Ok(Place {
            path: path.to_owned(),
            identity: FileIdentity::of(&held).with_context(doing)?,
            _held: held,
        })
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the path still leads there: [`Kind::NotFound`] if it leads nowhere or elsewhere.
    pub fn check(&self) -> Result<()> {
        check(&self.path, self.identity).map_err(|failure| {
            failure.hint("nothing is written until it is back; if it was replaced on purpose, restart the daemon")
        })
    }

    /// Checks that `path` leads to that open file: [`Kind::NotFound`] if it leads nowhere or elsewhere.
    pub fn leads_to(path: &Path, file: FileIdentity) -> Result<()> {
        check(path, file).map_err(|failure| {
            failure.hint(
                "it is received again from its start; find out what removes or replaces files of the archive",
            )
        })
    }
}

/// Checks that `path` leads to what has that identity.
fn check(path: &Path, expected: FileIdentity) -> Result<()> {
    let shown = path.display();
    let wrong = match FileIdentity::at(path) {
        Ok(found) if found == expected => return Ok(()),
        Ok(_) => {
            format!("{shown} is not what was there at the start: was it unmounted or replaced?")
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            format!("{shown} is not there any more: was it unmounted, moved or removed?")
        }
        Err(error) => return Err(error).with_context(|| format!("look at {shown}")),
    };
    Err(Failure::new(Kind::NotFound, wrong))
}

/// Places of which all must be what they were, from the outermost on. Clones are the same places.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<Arc<Place>>);

impl Places {
    /// These and one more.
    #[must_use]
    pub fn and(&self, place: Place) -> Places {
        let mut places = self.0.clone();
        places.push(Arc::new(place));
        Places(places)
    }

    /// Checks all of them. To be called before anything is written there.
    pub fn check(&self) -> Result<()> {
        self.0.iter().try_for_each(|place| place.check())
    }

    /// Whether these are the very same ones.
    pub fn same(&self, other: &Places) -> bool {
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
    fn what_was_moved_away_is_missed_until_it_is_back() {
        let root = std::env::temp_dir().join(format!("pgmoneta-place-{}", std::process::id()));
        let (path, away) = (root.join("here"), root.join("away"));
        fs::create_dir_all(path.join("inner")).unwrap();
        let places = Places::default()
            .and(Place::hold(&path).unwrap())
            .and(Place::hold(&path.join("inner")).unwrap());
        places.check().unwrap();
        fs::rename(&path, &away).unwrap();
        let gone = places.check().unwrap_err();
        fs::create_dir_all(path.join("inner")).unwrap();
        let other = places.check().unwrap_err();
        fs::remove_dir_all(&path).unwrap();
        fs::rename(&away, &path).unwrap();
        let back = places.check();
        // A directory that is made anew never counts as the old one, not even with its inode number.
        fs::remove_dir(path.join("inner")).unwrap();
        fs::create_dir(path.join("inner")).unwrap();
        let anew = places.check();
        fs::remove_dir_all(&root).unwrap();
        assert!(gone.message().contains("not there any more"), "{gone}");
        assert!(other.message().contains("not what was there"), "{other}");
        assert_eq!(
            (gone.kind(), other.kind()),
            (Kind::NotFound, Kind::NotFound)
        );
        back.unwrap();
        assert!(anew.is_err());
        assert!(places.same(&places.clone()));
    }
}
