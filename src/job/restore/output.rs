//! The output of a restore: directories that are locked for it, and a record of everything that it
//! created, so that it can remove that and nothing else.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::destination::Destination;
use super::restore_dirs::{RestoreDirs, check_empty};
use super::write::{Writer, write_file};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::storage::{self, Claim, Filesystem};

/// The output of a restore. Everything that it created is removed when it is dropped before
/// [`Output::finish`].
#[derive(Default)]
pub(super) struct Output {
    claims: Vec<Claim>,
    /// The created directories; in this order parents come before their children.
    directories: BTreeSet<PathBuf>,
    /// The created files and links, without those of `writer`.
    files: Vec<PathBuf>,
    writer: Option<Arc<Writer>>,
    filesystems: Vec<Filesystem>,
    /// The parents of the created data and tablespace directories, to sync.
    parents: Vec<PathBuf>,
}

impl Output {
    /// Creates the directories, or uses those that are empty, and claims them with `text` for
    /// messages of other restores. [`ErrorKind::Busy`] if another process uses one.
    pub fn create_directories(&mut self, dirs: &RestoreDirs, text: &str) -> Result<()> {
        for dir in dirs.all() {
            if !dir.is_dir() {
                if let Some(parent) = dir.parent() {
                    storage::create_directories(parent)?;
                    self.parents.push(parent.to_owned());
                }
                storage::create_new_directory(dir).map_err(|failure| {
                    // Another process may have created it just now.
                    check_empty(dir).err().unwrap_or(failure)
                })?;
                self.directories.insert(dir.to_owned());
            }
            let claim = Claim::acquire(dir, text).map_err(|failure| {
                let taken = (failure.kind() == ErrorKind::Busy).then(|| check_empty(dir).err());
                taken.flatten().unwrap_or(failure)
            })?;
            self.claims.push(claim);
            // Created between the check and the claim.
            if entries(dir)? > 1 {
                let message = format!("{} is no longer empty", dir.display());
                return Err(
                    Error::new(ErrorKind::Busy, message).with_hint("choose another directory")
                );
            }
            set_mode(dir, 0o700)?;
            self.filesystems.push(Filesystem::open(dir)?);
        }
        Ok(())
    }

    /// Sets the writer, whose files are removed too on a failure.
    pub fn set_writer(&mut self, writer: Arc<Writer>) {
        self.writer = Some(writer);
    }

    /// Syncs the file systems.
    pub fn sync(&self) -> Result<()> {
        self.filesystems.iter().try_for_each(Filesystem::sync)
    }

    /// Renames a file durably.
    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        if to.symlink_metadata().is_ok() {
            let message = format!("{} already exists", to.display());
            return Err(with_foreign_hint(Error::new(ErrorKind::Io, message)));
        }
        let renamed = storage::rename(from, to);
        // The sync after the rename may fail.
        if from.symlink_metadata().is_err() {
            self.files.push(to.to_owned());
        }
        renamed
    }

    /// Releases the claims: the output is complete and durable.
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

    /// Removes everything that was created. Returns a message for each path that remains.
    fn remove_all(&mut self) -> Vec<String> {
        let mut left = Vec::new();
        let written = self.writer.iter().flat_map(|writer| writer.created_files());
        for path in self.files.iter().map(PathBuf::as_path).chain(written) {
            if let Err(failure) = storage::remove_file_unsynced(path) {
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
                    "{} contains files that this restore did not write",
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

    /// Removes everything that was created. Returns the error, with the first path that remains.
    pub fn roll_back(mut self, failure: Error) -> Error {
        match self.remove_all().as_slice() {
            [] => failure,
            [first, ..] => failure.context(format!(
                "not everything could be removed: {first}; the restore failed"
            )),
        }
    }
}

impl Destination for Output {
    fn create_directory(&mut self, path: &Path, mode: u32) -> Result<()> {
        if !self.directories.contains(path) {
            storage::create_new_directory(path).map_err(with_foreign_hint)?;
            self.directories.insert(path.to_owned());
        }
        set_mode(path, mode)
    }

    fn create_link(&mut self, text: &Path, link: &Path) -> Result<()> {
        storage::create_symlink(text, link).map_err(with_foreign_hint)?;
        self.files.push(link.to_owned());
        Ok(())
    }

    fn write_file(&mut self, path: &Path, content: &[u8], mode: u32) -> Result<()> {
        let file = storage::StagedFile::create(path, mode).map_err(with_foreign_hint)?;
        self.files.push(path.to_owned());
        write_file(file, path, content)
    }
}

impl Drop for Output {
    /// Only effective after a panic.
    fn drop(&mut self) {
        for left in self.remove_all() {
            log::error!("a restore failed and could not be removed: {left}");
        }
    }
}

/// Adds the hint for files that this restore did not create.
fn with_foreign_hint(failure: Error) -> Error {
    failure.with_hint("if another program writes there, use a separate directory for the restore")
}

fn entries(directory: &Path) -> Result<usize> {
    let entries = std::fs::read_dir(directory);
    let entries = entries.with_context(|| format!("read the directory {}", directory.display()))?;
    Ok(entries.count())
}

/// Sets the permission bits of a directory, if they differ.
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

    fn dirs(root: &Path) -> RestoreDirs {
        let options = Options {
            directory: root.join("r"),
            ..Options::default()
        };
        RestoreDirs::new(&options, Path::new("/nowhere"), "primary-1", &[]).unwrap()
    }

    #[test]
    fn only_one_of_two_restores_claims_a_directory() {
        let root = std::env::temp_dir().join(format!("pgmoneta-target-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let dirs = dirs(&root);
        let data = dirs.data.clone();
        let mut first = Output::default();
        first.create_directories(&dirs, "restore of A\n").unwrap();
        first.write_file(&data.join("a"), b"a", 0o600).unwrap();
        let mut second = Output::default();
        let busy = second
            .create_directories(&dirs, "restore of B\n")
            .unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::Busy);
        assert!(busy.message().contains("restore of A"), "{busy}");
        second.roll_back(busy);
        assert!(data.join("a").exists());
        // Files of others are neither removed nor overwritten.
        std::fs::write(data.join("mine"), "x").unwrap();
        first.create_directory(&data.join("base"), 0o750).unwrap();
        first.create_directory(&data.join("base"), 0o700).unwrap();
        std::fs::write(data.join("base/mine"), "x").unwrap();
        assert!(first.write_file(&data.join("mine"), b"a", 0o600).is_err());
        assert!(
            first
                .create_link(Path::new("a"), &data.join("mine"))
                .is_err()
        );
        assert!(first.rename(&data.join("a"), &data.join("mine")).is_err());
        let failed = first.roll_back(Error::new(ErrorKind::Io, "why"));
        assert!(failed.message().contains("did not write"), "{failed}");
        assert!(failed.message().ends_with(": why"), "{failed}");
        let left = |path: &Path| std::fs::read_dir(path).unwrap().count();
        assert_eq!((left(&data), left(&data.join("base"))), (2, 1));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
