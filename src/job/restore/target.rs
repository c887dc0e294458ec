//! The directories that a restore writes to: claimed for it alone, and everything that it made in them is known, so that
//! it can take back that and nothing else.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::places::{Places, check_empty};
use super::write::{Writer, put};
use crate::error::{Context as _, Failure, Kind, Result};
use crate::storage::{self, Claim, Filesystem};

/// The directories that a restore writes to. Until [`Target::finish`] everything that it made there goes when it is
/// dropped.
#[derive(Default)]
pub(super) struct Target {
    claims: Vec<Claim>,
    /// The directories that were made. In this order parents come before what is in them.
    directories: BTreeSet<PathBuf>,
    /// The files and links that were made, other than those of `writer`.
    files: Vec<PathBuf>,
    writer: Option<Arc<Writer>>,
    filesystems: Vec<Filesystem>,
    /// The directories in which the places were made.
    parents: Vec<PathBuf>,
}

impl Target {
    /// Makes the directories, or takes those that are empty. Whoever else wants one of them finds it claimed, for what
    /// `text` says; [`Kind::Busy`] if somebody else came first.
    pub fn make(&mut self, places: &Places, text: &str) -> Result<()> {
        for place in places.all() {
            if !place.is_dir() {
                if let Some(parent) = place.parent() {
                    storage::create_directories(parent)?;
                    self.parents.push(parent.to_owned());
                }
                storage::create_new_directory(place).map_err(|failure| {
                    // Somebody else may have made it in this moment.
                    check_empty(place).err().unwrap_or(failure)
                })?;
                self.directories.insert(place.to_owned());
            }
            let claim = Claim::take(place, text).map_err(|failure| {
                let taken = (failure.kind() == Kind::Busy).then(|| check_empty(place).err());
                taken.flatten().unwrap_or(failure)
            })?;
            self.claims.push(claim);
            // What came between the look and the claim.
            if entries(place)? > 1 {
                let message = format!("{} is not empty any more", place.display());
                return Err(Failure::new(Kind::Busy, message).hint("choose another directory"));
            }
            set_mode(place, 0o700)?;
            self.filesystems.push(Filesystem::open(place)?);
        }
        Ok(())
    }

    /// Makes a directory, if this restore has not made it.
    pub fn directory(&mut self, path: &Path, mode: u32) -> Result<()> {
        if !self.directories.contains(path) {
            storage::create_new_directory(path).map_err(foreign)?;
            self.directories.insert(path.to_owned());
        }
        set_mode(path, mode)
    }

    /// Makes a symbolic link.
    pub fn link(&mut self, text: &Path, link: &Path) -> Result<()> {
        storage::link_relative(text, link).map_err(foreign)?;
        self.files.push(link.to_owned());
        Ok(())
    }

    /// Writes a small file of its own.
    pub fn put(&mut self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        let file = storage::StagedFile::create(path, mode).map_err(foreign)?;
        self.files.push(path.to_owned());
        put(file, path, content)
    }

    /// Takes note of what `writer` will write.
    pub fn writes(&mut self, writer: Arc<Writer>) {
        self.writer = Some(writer);
    }

    /// Makes all that was written durable.
    pub fn sync(&self) -> Result<()> {
        self.filesystems.iter().try_for_each(Filesystem::sync)
    }

    /// Gives a file that was written its name, durably.
    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        if to.symlink_metadata().is_ok() {
            let message = format!("{} is there already", to.display());
            return Err(foreign(Failure::new(Kind::Io, message)));
        }
        let renamed = storage::rename(from, to);
        // The sync that follows may fail.
        if from.symlink_metadata().is_err() {
            self.files.push(to.to_owned());
        }
        renamed
    }

    /// Gives the directories to whoever asked for the restore: all is complete, durably.
    pub fn finish(mut self) -> Result<()> {
        while let Some(claim) = self.claims.pop() {
            claim.release()?;
        }
        for parent in &self.parents {
            storage::sync_directory(parent)?;
        }
        self.directories.clear();
        self.files.clear();
        self.writer = None;
        Ok(())
    }

    /// Removes what was made; what cannot be removed, or lies in a directory that somebody else wrote to.
    fn take_back(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let written = self.writer.iter().flat_map(|writer| writer.written());
        for path in self.files.iter().map(PathBuf::as_path).chain(written) {
            if let Err(failure) = storage::discard_file(path) {
                left.push(failure.to_string());
            }
        }
        while let Some(claim) = self.claims.pop() {
            if let Err(failure) = claim.abandon() {
                left.push(failure.to_string());
            }
        }
        for path in self.directories.iter().rev() {
            match storage::remove_empty_directory(path) {
                Ok(true) => {}
                Ok(false) => left.push(format!(
                    "{} has something in it that this restore did not write",
                    path.display()
                )),
                Err(failure) => left.push(failure.to_string()),
            }
        }
        self.directories.clear();
        self.files.clear();
        self.writer = None;
        left
    }

    /// Removes what was made; the failure with what is left, if something is.
    pub fn give_up(mut self, failure: Failure) -> Failure {
        match self.take_back().as_slice() {
            [] => failure,
            [first, ..] => failure.context(format!(
                "something of the restore, or written by others, is left: {first}; the restore failed"
            )),
        }
    }
}

impl Drop for Target {
    /// For a panic: else nothing is left to do.
    fn drop(&mut self) {
        for left in self.take_back() {
            log::error!("a restore failed and leaves something behind: {left}");
        }
    }
}

/// What to do where something is that this restore did not make.
fn foreign(failure: Failure) -> Failure {
    failure.hint("if something else writes there, choose a directory of its own for the restore")
}

fn entries(directory: &Path) -> Result<usize> {
    let entries = std::fs::read_dir(directory);
    let entries = entries.with_context(|| format!("look into {}", directory.display()))?;
    Ok(entries.count())
}

/// Sets the permission bits of a directory; ours alone is what it has already.
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let has = |mode| {
        path.metadata()
            .is_ok_and(|found| found.permissions().mode() & 0o7777 == mode)
    };
    if has(mode & 0o7777) {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o7777))
        .with_context(|| format!("set the mode of {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::restore::Options;

    fn places(root: &Path) -> Places {
        let options = Options {
            directory: root.join("r"),
            ..Options::default()
        };
        Places::new(&options, Path::new("/nowhere"), "primary-1", &[]).unwrap()
    }

    #[test]
    fn one_of_two_restores_to_one_directory_gets_it() {
        let root = std::env::temp_dir().join(format!("pgmoneta-target-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let places = places(&root);
        let data = places.data.clone();
        let mut first = Target::default();
        first.make(&places, "restore of A\n").unwrap();
        first.put(&data.join("a"), b"a", 0o600).unwrap();
        let mut second = Target::default();
        let busy = second.make(&places, "restore of B\n").unwrap_err();
        assert_eq!(busy.kind(), Kind::Busy);
        assert!(busy.message().contains("restore of A"), "{busy}");
        second.give_up(busy);
        assert!(data.join("a").exists());
        // What others write stays, and is not written over.
        std::fs::write(data.join("mine"), "x").unwrap();
        first.directory(&data.join("base"), 0o750).unwrap();
        first.directory(&data.join("base"), 0o700).unwrap();
        std::fs::write(data.join("base/mine"), "x").unwrap();
        assert!(first.put(&data.join("mine"), b"a", 0o600).is_err());
        assert!(first.link(Path::new("a"), &data.join("mine")).is_err());
        assert!(first.rename(&data.join("a"), &data.join("mine")).is_err());
        let failed = first.give_up(Failure::new(Kind::Io, "why"));
        assert!(failed.message().contains("did not write"), "{failed}");
        assert!(failed.message().ends_with(": why"), "{failed}");
        let left = |path: &Path| std::fs::read_dir(path).unwrap().count();
        assert_eq!((left(&data), left(&data.join("base"))), (2, 1));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
