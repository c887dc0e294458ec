//! Checks permissions before the first write, so that a dry run finds the same errors as a restore.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::permission::{missing_permission, permission_denied};
use super::plan::Plan;
use super::source::Source;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::repository::{Backup, ManifestFile};
use crate::sys::{Right, check_rights, effective_user_id, user_name};

/// The maximum size of a path in bytes with its NUL, on Linux (`PATH_MAX`); elsewhere it is lower.
const MAX_PATH: usize = 4096;

/// The maximum size in bytes of the file that is read in full, to check the key and the stored
/// format.
const MAX_SAMPLE: u64 = 1 << 20;

/// Checks that the directories can be created or used, and that no path is too long.
pub(super) fn check_directories(plan: &Plan) -> Result<()> {
    for dir in plan.dirs.all() {
        check_directory(dir)?;
    }
    let longest = plan.files.iter().map(|(_, path)| path);
    let longest = longest.max_by_key(|path| path.as_os_str().len());
    match longest.filter(|path| path.as_os_str().len() >= MAX_PATH) {
        Some(path) => {
            let message = format!("the path {} is too long", path.display());
            Err(Error::new(ErrorKind::Usage, message)
                .with_hint("choose a directory with a shorter name"))
        }
        None => Ok(()),
    }
}

/// Checks that files can be created in a directory, which may be missing. Returns the nearest
/// directory at or above it that exists.
pub(super) fn check_writable(dir: &Path) -> Result<&Path> {
    let at = nearest_directory(dir)?;
    check_access(at, &[Right::Write, Right::Search], "write to")?;
    Ok(at)
}

fn check_directory(dir: &Path) -> Result<()> {
    let at = check_writable(dir)?;
    let owner = at
        .metadata()
        .with_context(|| format!("look at {}", at.display()))?
        .uid();
    let own = effective_user_id();
    if at == dir && owner != own && own != 0 {
        let (display, owner, own) = (at.display(), user_name(owner), user_name(own));
        let message = format!(
            "{display} belongs to the user {owner}, and pgmoneta runs as the user {own}: a data \
             directory must belong to the user that runs the server"
        );
        return Err(
            Error::new(ErrorKind::Permission, message).with_hint("choose another directory")
        );
    }
    Ok(())
}

/// The nearest existing directory at or above `path`. Anything else that exists there is refused.
fn nearest_directory(path: &Path) -> Result<&Path> {
    for above in path.ancestors() {
        match above.metadata() {
            Ok(found) if found.is_dir() => return Ok(above),
            Ok(_) => return Err(unusable(above, "it is not a directory")),
            // The ancestors show which permission is missing.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if above.symlink_metadata().is_ok() {
                    return Err(unusable(above, "it is a dangling symbolic link"));
                }
            }
            Err(error) => {
                return Err(error).with_context(|| format!("look at {}", above.display()));
            }
        }
    }
    Ok(Path::new("/"))
}

fn unusable(path: &Path, why: &str) -> Error {
    let message = format!("{} cannot be used: {why}", path.display());
    Error::new(ErrorKind::Usage, message).with_hint("choose another directory")
}

/// Checks that this process has permissions on a file or directory. `what` is a verb for the
/// message.
fn check_access(path: &Path, rights: &[Right], what: &str) -> Result<()> {
    let display = path.display();
    match check_rights(path, rights) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            let message = format!("{display} is on a file system that is mounted read-only");
            Err(Error::new(ErrorKind::Permission, message).with_hint("choose another directory"))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(permission_denied(path, what))
        }
        Err(error) => Err(error).with_context(|| format!("check the permissions of {display}")),
    }
}

/// Checks that every stored file exists, has its size and can be read. Of the contents only a small
/// file is checked, for the key, and the rest of the segment in which recovery ends: it was read up
/// to that position only.
pub(super) fn check_stored(source: &Source, plan: &Plan) -> Result<()> {
    let lists = plan.combined.iter().flat_map(|lists| lists.files());
    let others = plan.auto_conf.iter().chain(lists);
    let mut sample: Option<&ManifestFile> = None;
    let files = plan.files.iter().map(|(file, _)| file);
    for file in files.chain(others) {
        source.stop.check()?;
        let combined = file.combined.as_ref();
        let parts = combined.map_or(std::slice::from_ref(file), |combined| &combined.parts);
        for part in parts {
            check_file(&source.backup, part)
                .with_context(|| format!("restore {}", file.path.display()))?;
        }
        let smaller = sample.is_none_or(|sample| file.size < sample.size);
        if smaller && (1..=MAX_SAMPLE).contains(&file.size) {
            sample = Some(file);
        }
    }
    if let Some(file) = sample {
        source
            .check(file)
            .with_context(|| format!("restore {}", file.path.display()))?;
    }
    match plan.segments.last() {
        Some((_, last)) => source.check_segment(*last),
        None => Ok(()),
    }
}

fn check_file(backup: &Backup, file: &ManifestFile) -> Result<()> {
    let located = backup.locate(&file.stored_path);
    let located = located.map_err(|failure| match failure.kind() {
        ErrorKind::NotFound => {
            let message = format!("{} is missing", backup.stored_path(file).display());
            Error::new(ErrorKind::Corrupt, message).with_hint(HINT)
        }
        ErrorKind::Corrupt if failure.hint().is_none() => failure.with_hint(HINT),
        _ => failure,
    })?;
    let path = located.path.as_path();
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("{} is missing", path.display());
            return Err(Error::new(ErrorKind::Corrupt, message).with_hint(HINT));
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(missing_permission(path, "read"));
        }
        Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
    };
    if found.len() != file.stored_size {
        let (display, has, stored) = (path.display(), found.len(), file.stored_size);
        let message = format!("{display} has {has} bytes, and {stored} were stored");
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint(HINT));
    }
    check_access(path, &[Right::Read], "read")
}

const HINT: &str = "`pgmoneta-cli verify` lists every bad file; choose another backup";
