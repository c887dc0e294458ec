//! Making other backups independent of one that is to be removed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::links::{link_target, owner_of_link};
use super::{Backup, Origin, Repository, c_backup};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::storage::{self, Filesystem};
use crate::sys::Stop;
use crate::unit::Label;

/// The name of a link in the directory of a backup before it gets its place. The cleanup at the
/// start removes it.
pub(super) const LINK_TEMPORARY: &str = ".link.tmp";

/// A symbolic link to the backup that goes.
#[derive(Clone)]
struct User {
    /// The backup that has the link.
    backup: Backup,
    /// The path of the link in it.
    path: PathBuf,
}

/// The links to each file of the backup that goes, by the path of the file; in the order of the
/// backups, oldest first.
type Users = BTreeMap<PathBuf, Vec<User>>;

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
        let filesystem = Filesystem::open(backup.path.parent().unwrap_or(&backup.path))?;
        let mut count = 0;
        let mut repointed = Vec::new();
        for (path, users) in &users {
            stop.check()?;
            let source = backup.owned_path(path)?;
            let Some((first, others)) = users.split_first() else {
                continue;
            };
            if let Ok(text) = source.read_link() {
                // Only the C program makes links to links; the texts do not depend on the backup.
                users.iter().try_for_each(|user| user.replace(&text))?;
            } else if first.take_over(&source)? {
                count += 1;
                repointed.extend(others.iter().map(|other| (other, first)));
            }
        }
        // No link may lead to a new owner that a power failure turns into a link again.
        filesystem.sync()?;
        for (other, owner) in repointed {
            stop.check()?;
            other.replace(&other.target(owner)?)?;
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
            for (path, owned) in links_to(&other, &backup.label)? {
                let backup = other.clone();
                users.entry(owned).or_default().push(User { backup, path });
            }
        }
        Ok(users)
    }
}

impl User {
    /// Puts the file at `source` in the place of the link. Returns `false` if the file is not
    /// there: then the link is broken already.
    fn take_over(&self, source: &Path) -> Result<bool> {
        let link = self.backup.path.join(&self.path);
        if !source.symlink_metadata().is_ok_and(|found| found.is_file()) {
            log::error!(
                "the backup {} has a link to {}, which is not there",
                self.backup.label,
                source.display()
            );
            return Ok(false);
        }
        let temporary = self.backup.path.join(LINK_TEMPORARY);
        // A file system without hard links, or a file with too many: any error, since a copy that
        // fails too says more.
        if storage::replace_by_hard_link(source, &temporary, &link).is_ok() {
            return Ok(true);
        }
        let copied = storage::replace_by_copy(source, &temporary, &link);
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

    /// The target that lets the link lead to that of `owner`, which has the file then.
    fn target(&self, owner: &User) -> Result<PathBuf> {
        let to = &owner.backup.label;
        if self.backup.origin == Origin::Own {
            return Ok(link_target(&self.path, to));
        }
        let link = self.backup.path.join(&self.path);
        let action = || format!("read the link {}", link.display());
        let text = link.read_link().with_context(action)?;
        let text = c_backup::link_text(&text, to, &owner.path);
        text.ok_or_else(|| Error::new(ErrorKind::Internal, action()))
    }

    /// Gives the link another target.
    fn replace(&self, target: &Path) -> Result<()> {
        let temporary = self.backup.path.join(LINK_TEMPORARY);
        let link = self.backup.path.join(&self.path);
        storage::replace_by_symlink(target, &temporary, &link)
            .with_context(|| format!("make {} a link to {}", link.display(), target.display()))
    }
}

/// The links in a backup to the backup `owner`: their paths, and those of the files in the owner.
pub(super) fn links_to(backup: &Backup, owner: &Label) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut found = Vec::new();
    for_each_link(&backup.path, |path, target| {
        let owned = match backup.origin {
            Origin::Own => owner_of_link(&path, target).map(|label| (label, path.clone())),
            Origin::C => c_backup::split_link(target),
        };
        if let Some((label, owned)) = owned
            && label == *owner
        {
            found.push((path, owned));
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
