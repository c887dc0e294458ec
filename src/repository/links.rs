//! Symbolic links between backups.
//!
//! A file of a backup that is the same in an older one may be a symbolic link. Its target is
//! `../…/LABEL/PATH`: relative, so that it moves with the repository, and the path PATH of the
//! same file in the backup LABEL, which has the file itself: one step, no chain. Any other link
//! is refused when it is read.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::unit::Label;

/// Where the bytes of a file of a backup are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// The path of a regular file.
    pub path: PathBuf,
    /// The backup that has it: another one if the file is a symbolic link.
    pub owner: Label,
}

/// Finds the file `stored_path` of the backup `label` in `directory`: the file itself, or the one
/// to which its symbolic link leads.
pub(super) fn locate(directory: &Path, label: &Label, stored_path: &Path) -> Result<StoredFile> {
    let path = directory.join(stored_path);
    loop {
        let link = path.read_link().ok();
        let located = locate_once(directory, label, stored_path);
        // A backup that was removed meanwhile has handed its files over.
        if located.is_ok() || link == path.read_link().ok() {
            return located;
        }
    }
}

fn locate_once(directory: &Path, label: &Label, stored_path: &Path) -> Result<StoredFile> {
    let path = directory.join(stored_path);
    let action = || format!("open {}", path.display());
    let found = path.symlink_metadata().with_context(action)?;
    if !found.is_symlink() {
        // Other types of files are refused when they are opened.
        let owner = label.clone();
        return Ok(StoredFile { path, owner });
    }
    let target = path.read_link().with_context(action)?;
    let Some(owner) = owner_of_link(stored_path, &target) else {
        let message = format!(
            "{} is a symbolic link to {}, and not to the same file of another backup",
            path.display(),
            target.display()
        );
        return Err(Error::new(ErrorKind::Corrupt, message)
            .with_hint("put the file itself in its place, or choose another backup"));
    };
    let owned_by = directory.with_file_name(owner.as_str());
    let located = owned_by.join(stored_path);
    match located.symlink_metadata() {
        Ok(found) if found.is_file() => {
            let path = located;
            Ok(StoredFile { path, owner })
        }
        Ok(_) => Err(broken(&path, &owner, "has no regular file there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !owned_by.exists() => {
            Err(broken(&path, &owner, "is gone"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(broken(&path, &owner, "does not have the file any more"))
        }
        Err(error) => Err(error).with_context(action),
    }
}

fn broken(path: &Path, owner: &Label, problem: &str) -> Error {
    let path = path.display();
    let message = format!("{path} is a symbolic link to the backup {owner}, which {problem}");
    Error::new(ErrorKind::Corrupt, message).with_hint(
        "put that backup back beside this one: a backup with symbolic links is copied and moved \
         together with those that it links to; or choose another backup",
    )
}

/// The target of the link at `stored_path` in the directory of a backup to the same file of the
/// backup `owner`.
pub(crate) fn link_target(stored_path: &Path, owner: &Label) -> PathBuf {
    let mut target: PathBuf = stored_path.iter().map(|_| "..").collect();
    target.push(owner.as_str());
    target.push(stored_path);
    target
}

/// The backup to which the link at `stored_path` leads; `None` if its target is of another form.
pub(super) fn owner_of_link(stored_path: &Path, target: &Path) -> Option<Label> {
    let depth = stored_path.iter().count();
    let owner = target.iter().nth(depth)?.to_str()?.parse().ok()?;
    // As bytes: a path with `.` or `//` in it equals one without.
    let same = link_target(stored_path, &owner).as_os_str() == target.as_os_str();
    same.then_some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_file_of_a_backup_beside_it_is_a_target() {
        let path = Path::new("data/base/1/x.zstd");
        let owner: Label = "20260101000000".parse().unwrap();
        let target = link_target(path, &owner);
        assert_eq!(
            target,
            Path::new("../../../../20260101000000/data/base/1/x.zstd")
        );
        assert_eq!(owner_of_link(path, &target), Some(owner));
        for other in [
            "",
            "x.zstd",
            "/20260101000000/data/base/1/x.zstd",
            "../../../20260101000000/data/base/1/x.zstd",
            "../../../../../20260101000000/data/base/1/x.zstd",
            "../../../../20260101000000/data/base/1/y.zstd",
            "../../../../20260101000000/data/base/1/../1/x.zstd",
            "../../../../20260101000000/data//base/1/x.zstd",
            "../../../../20260101000000/data/base/1/x.zstd/",
            "../../../../.new-20260101000000/data/base/1/x.zstd",
            "../../../../../primary/basebackup/20260101000000/data/base/1/x.zstd",
        ] {
            assert_eq!(owner_of_link(path, Path::new(other)), None, "{other}");
        }
    }
}
