//! Whether a restore may read and write what it must, asked before the first byte, so that a dry run finds what the real
//! one would.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::plan::Work;
use super::write::Writer;
use crate::error::{Context as _, Failure, Kind, Result};
use crate::repository::ManifestFile;
use crate::sys::{Right, check_rights, effective_user_id, user_name};

/// How many bytes a path has at most with its zero byte, on Linux (`PATH_MAX`); elsewhere it is less.
const LONGEST_PATH: usize = 4096;

/// A file of at most so many bytes is read in full, to see that the key and what reads it are right.
const SAMPLE: u64 = 1 << 20;

/// Whether the directories can be made, or taken where they are there, and no path is too long.
pub(super) fn check_places(work: &Work) -> Result<()> {
    for place in work.places.all() {
        check_place(place)?;
    }
    let longest = work.files.iter().map(|(_, path)| path);
    let longest = longest.max_by_key(|path| path.as_os_str().len());
    match longest.filter(|path| path.as_os_str().len() >= LONGEST_PATH) {
        Some(path) => {
            let message = format!("the path {} is too long", path.display());
            Err(Failure::new(Kind::Usage, message).hint("choose a directory with a shorter name"))
        }
        None => Ok(()),
    }
}

fn check_place(place: &Path) -> Result<()> {
    let at = nearest(place)?;
    may(at, &[Right::Write, Right::Search], "write to")?;
    let owner = at
        .metadata()
        .with_context(|| format!("look at {}", at.display()))?
        .uid();
    let own = effective_user_id();
    if at == place && owner != own && own != 0 {
        let (shown, owner, own) = (at.display(), user_name(owner), user_name(own));
        let message = format!(
            "{shown} belongs to the user {owner}, and pgmoneta runs as the user {own}: a data directory must be the user's own"
        );
        return Err(Failure::new(Kind::Permission, message).hint("choose another directory"));
    }
    Ok(())
}

/// The nearest directory at or above `path` that is there. What is there and no directory is refused.
fn nearest(path: &Path) -> Result<&Path> {
    for above in path.ancestors() {
        match above.metadata() {
            Ok(found) if found.is_dir() => return Ok(above),
            Ok(_) => return Err(in_the_way(above, "it is not a directory")),
            // Those above say which right is missing.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if above.symlink_metadata().is_ok() {
                    return Err(in_the_way(above, "it is a symbolic link to nothing"));
                }
            }
            Err(error) => {
                return Err(error).with_context(|| format!("look at {}", above.display()));
            }
        }
    }
    Ok(Path::new("/"))
}

fn in_the_way(path: &Path, why: &str) -> Failure {
    let message = format!("{} cannot be used: {why}", path.display());
    Failure::new(Kind::Usage, message).hint("choose another directory")
}

/// Whether this process may do something with a file or directory.
fn may(path: &Path, rights: &[Right], what: &str) -> Result<()> {
    let shown = path.display();
    match check_rights(path, rights) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            let message = format!("{shown} is on a file system that is mounted read-only");
            Err(Failure::new(Kind::Permission, message).hint("choose another directory"))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(denied(path, what)),
        Err(error) => Err(error).with_context(|| format!("look at {shown}")),
    }
}

/// Whether every stored file is there with its size and can be read, and what is only read when it is written is what it
/// must be: a small file, for the key, and the rest of the segment in which recovery ends.
pub(super) fn check_stored(writer: &Writer, auto_conf: Option<&ManifestFile>) -> Result<()> {
    let mut sample: Option<&ManifestFile> = None;
    for file in writer.files().chain(auto_conf) {
        writer.stop.check()?;
        check_file(&writer.backup.path.join(&file.stored_path), file)
            .with_context(|| format!("restore {}", file.path.display()))?;
        let smaller = sample.is_none_or(|sample| file.size < sample.size);
        if smaller && (1..=SAMPLE).contains(&file.size) {
            sample = Some(file);
        }
    }
    if let Some(file) = sample {
        writer
            .check(file)
            .with_context(|| format!("restore {}", file.path.display()))?;
    }
    writer.check_last_segment()
}

fn check_file(path: &Path, file: &ManifestFile) -> Result<()> {
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("{} is missing", path.display());
            return Err(Failure::new(Kind::Corrupt, message).hint(HINT));
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(out_of_sight(path, "look at"));
        }
        Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
    };
    if found.len() != file.stored_size {
        let (shown, has, stored) = (path.display(), found.len(), file.stored_size);
        let message = format!("{shown} has {has} bytes, and {stored} were stored");
        return Err(Failure::new(Kind::Corrupt, message).hint(HINT));
    }
    may(path, &[Right::Read], "read")
}

/// Who may not do what.
fn denied(path: &Path, what: &str) -> Failure {
    let (shown, user) = (path.display(), user_name(effective_user_id()));
    let message = format!("pgmoneta runs as the user {user}, who may not {what} {shown}");
    Failure::new(Kind::Permission, message)
        .hint(format!("give that user the right to {what} {shown}"))
}

/// Which right keeps us from what is at a path: to a directory above it, or to itself.
pub(super) fn out_of_sight(path: &Path, what: &str) -> Failure {
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    let mut above = above.into_iter().rev();
    let closed = above.find(|directory| {
        let error = check_rights(directory, &[Right::Search]).err();
        error.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    });
    match closed {
        Some(directory) => denied(directory, "look into"),
        None => denied(path, what),
    }
}

const HINT: &str = "`pgmoneta-cli verify` names every bad file; choose another backup";
