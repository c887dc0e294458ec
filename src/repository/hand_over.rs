//! Making other backups independent of one that is to be removed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::links::link_target;
use super::{Backup, Origin, Repository};
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
            let source = backup.path.join(path);
            let Some((first, others)) = users.split_first() else {
                continue;
            };
            if source.is_symlink() {
                // Only the C program makes links to links.
                if let Some((owner, path)) = backup.link_leads_to(path)? {
                    let target = |user: &User| user.replace(&user.target(&owner, &path));
                    users.iter().try_for_each(target)?;
                }
            } else if first.take_over(&source)? {
                count += 1;
                repointed.extend(others.iter().map(|other| (other, first)));
            }
        }
        // No link may lead to a new owner that a power failure turns into a link again.
        filesystem.sync()?;
        for (other, owner) in repointed {
            stop.check()?;
            other.replace(&other.target(&owner.backup.label, &owner.path))?;
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
            // Not by its backup.info, which may be damaged.
            if !beside || other.label == backup.label || self.is_known_without_links(&other) {
                continue;
            }
            let links = links(&other)?;
            if links.is_empty() {
                self.note_without_links(&other);
            }
            for (path, owned) in to_owner(links, &backup.label) {
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
        let found = match source.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (label, source) = (&self.backup.label, source.display());
                log::error!("the backup {label} has a link to {source}, which is not there");
                return Ok(false);
            }
            found => found.with_context(|| format!("look at {}", source.display()))?,
        };
        if !found.is_file() {
            return Err(self.not_a_file(source));
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

    fn not_a_file(&self, source: &Path) -> Error {
        let link = self.backup.path.join(&self.path);
        let (link, source) = (link.display(), source.display());
        let message = format!(
            "{link} is a link to {source}, which is no file, in the backup that is to be removed"
        );
        Error::new(ErrorKind::Unsupported, message)
            .with_hint("put a copy in the place of the link, or delete the newer backup first")
    }

    /// The target that lets the link lead to `path` of the backup `owner`.
    fn target(&self, owner: &Label, path: &Path) -> PathBuf {
        match self.backup.origin {
            Origin::Own => link_target(&self.path, owner),
            // As the C program does; read relative to the repository.
            Origin::C => self.backup.path.with_file_name(owner.as_str()).join(path),
        }
    }

    /// Gives the link another target.
    fn replace(&self, target: &Path) -> Result<()> {
        let temporary = self.backup.path.join(LINK_TEMPORARY);
        let link = self.backup.path.join(&self.path);
        storage::replace_by_symlink(target, &temporary, &link)
            .with_context(|| format!("make {} a link to {}", link.display(), target.display()))
    }
}

/// A symbolic link in a backup: its path, and the backup and the file in it to which it leads.
type Link = (PathBuf, Option<(Label, PathBuf)>);

/// The links in a backup to the backup `owner`: their paths, and those of the files in the owner.
pub(super) fn links_to(backup: &Backup, owner: &Label) -> Result<Vec<(PathBuf, PathBuf)>> {
    Ok(to_owner(links(backup)?, owner).collect())
}

fn to_owner(links: Vec<Link>, owner: &Label) -> impl Iterator<Item = (PathBuf, PathBuf)> + '_ {
    let links = links.into_iter();
    links.filter_map(move |(path, leads_to)| {
        let (label, owned) = leads_to?;
        (label == *owner).then_some((path, owned))
    })
}

/// All symbolic links in a backup.
fn links(backup: &Backup) -> Result<Vec<Link>> {
    let mut found = Vec::new();
    storage::for_each_file(&backup.path, |path, kind| {
        if kind.is_symlink() {
            let leads_to = backup.link_leads_to(&path)?;
            found.push((path, leads_to));
        }
        Ok(())
    })?;
    Ok(found)
}
