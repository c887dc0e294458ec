//! Making other backups independent of one that is to be removed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::links::{link_target, owner_of_link};
use super::{Backup, Repository};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::storage::{self, Filesystem};
use crate::sys::Stop;
use crate::unit::Label;

/// The name of a link in the directory of a backup before it gets its place. The cleanup at the
/// start removes it.
const TEMPORARY: &str = ".link.tmp";

/// The backups, oldest first, in which a file is a symbolic link to the one that goes.
type Users = BTreeMap<PathBuf, Vec<Backup>>;

impl Repository {
    /// Gives each file of `backup` to which symbolic links of other backups lead to the oldest of
    /// these, and lets the links of the others lead to that one. Hard links need nothing. Returns
    /// the number of the files. Nothing is removed from `backup`: at every moment each backup can
    /// be read. Durable when it returns. Meanwhile no backup may be made that links to it, and none
    /// be removed.
    pub fn hand_over(&self, backup: &Backup, stop: &Stop) -> Result<usize> {
        let users = self.users_of(backup)?;
        if users.is_empty() {
            return Ok(0);
        }
        self.check_paths()?;
        let filesystem = Filesystem::open(&self.backup_path())?;
        let mut count = 0;
        let mut repointed = Vec::new();
        for (path, users) in &users {
            stop.check()?;
            let Some((first, others)) = users.split_first() else {
                continue;
            };
            if take_over(backup, path, first)? {
                count += 1;
                repointed.extend(others.iter().map(|other| (path, other, &first.label)));
            }
        }
        // No link may lead to a new owner that a power failure turns into a link again.
        filesystem.sync()?;
        for (path, other, owner) in repointed {
            stop.check()?;
            let (target, temporary) = (link_target(path, owner), other.path.join(TEMPORARY));
            let link = other.path.join(path);
            storage::replace_by_symlink(&target, &temporary, &link).with_context(|| {
                format!("make {} a link to {}", link.display(), target.display())
            })?;
        }
        filesystem.sync()?;
        log::info!(
            "{count} files of the backup {} belong to other backups now",
            backup.label
        );
        Ok(count)
    }

    /// Which files of other backups are links to `backup`.
    fn users_of(&self, backup: &Backup) -> Result<Users> {
        let mut users = Users::new();
        for other in self.backups()? {
            let beside = other.path.parent() == backup.path.parent();
            if !beside || other.label == backup.label || !other.may_have_symbolic_links() {
                continue;
            }
            for path in links_to(&other.path, &backup.label)? {
                users.entry(path).or_default().push(other.clone());
            }
        }
        Ok(users)
    }
}

/// Gives `path` of the backup `from` to `to`. Returns `false` if the file is not there: then the
/// links to it are broken already.
fn take_over(from: &Backup, path: &Path, to: &Backup) -> Result<bool> {
    let (source, link) = (from.path.join(path), to.path.join(path));
    if !source.symlink_metadata().is_ok_and(|found| found.is_file()) {
        log::error!(
            "the backup {} has a link to {}, which is not there",
            to.label,
            source.display()
        );
        return Ok(false);
    }
    let temporary = to.path.join(TEMPORARY);
    // A file system without hard links, or a file with too many: any error, since a copy that
    // fails too says more.
    if storage::replace_by_hard_link(&source, &temporary, &link).is_ok() {
        return Ok(true);
    }
    let copied = storage::replace_by_copy(&source, &temporary, &link);
    copied
        .map_err(Error::from)
        .map_err(|failure| match failure.kind() {
            ErrorKind::NoSpace => failure.with_hint(
                "this file system has no hard links, so that other backups need a copy of the \
                 files that they share with this one: delete the newest backups first",
            ),
            _ => failure,
        })
        .with_context(|| format!("copy {} to {}", source.display(), link.display()))?;
    Ok(true)
}

/// The paths below the directory `root` of a backup that are links to the backup `owner`.
pub(super) fn links_to(root: &Path, owner: &Label) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for_each_link(root, |path, target| {
        if owner_of_link(&path, target).as_ref() == Some(owner) {
            found.push(path);
        }
    })?;
    Ok(found)
}

/// Calls `work` with each symbolic link below `root`: its path relative to that, and its target.
fn for_each_link(root: &Path, mut work: impl FnMut(PathBuf, &Path)) -> Result<()> {
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let action = || format!("list {}", root.join(&directory).display());
        for entry in std::fs::read_dir(root.join(&directory)).with_context(action)? {
            let entry = entry.with_context(action)?;
            let path = directory.join(entry.file_name());
            let kind = entry.file_type().with_context(action)?;
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_symlink() {
                let target = entry.path().read_link();
                let target = target.with_context(|| format!("read {}", path.display()))?;
                work(path, &target);
            }
        }
    }
    Ok(())
}
