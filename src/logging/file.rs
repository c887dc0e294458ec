//! The log file and its rotation; the path is a `strftime` pattern.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Zoned;

use super::pattern::expand;
use super::settings::{LogMode, LogSettings};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys;
use crate::unit::to_u64;

/// The mode of a new log file.
const FILE_MODE: u32 = 0o640;

/// The time from a failed rotation to the next attempt.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// An open log file.
pub(super) struct LogFile {
    pattern: String,
    mode: LogMode,
    rotation_age: Option<Duration>,
    rotation_size: Option<u64>,
    file: File,
    path: PathBuf,
    opened: Instant,
    last_failure: Option<Instant>,
    size: u64,
}

impl LogFile {
    /// Opens the file at the current expansion of the pattern.
    pub fn open(settings: &LogSettings, now: &Zoned) -> Result<LogFile> {
        let pattern = settings.path.to_string_lossy().into_owned();
        let path = PathBuf::from(expand(&pattern, now)?);
        let (file, size) = open(&path, settings.mode)?;
        Ok(LogFile {
            pattern,
            mode: settings.mode,
            rotation_age: settings.rotation_age.map(|age| age.duration()),
            rotation_size: settings.rotation_size.map(|size| size.0),
            file,
            path,
            opened: Instant::now(),
            last_failure: None,
            size,
        })
    }

    /// Fails if the file could not be opened, without creating or changing it.
    pub fn check(settings: &LogSettings, now: &Zoned) -> Result<()> {
        let path = PathBuf::from(expand(&settings.path.to_string_lossy(), now)?);
        let action = || format!("open log file {}", path.display());
        check_link(&path).with_context(action)?;
        match open_existing(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = path.parent().unwrap_or(Path::new("/"));
                let rights = [sys::Right::Write, sys::Right::Search];
                sys::check_rights(directory, &rights).with_context(action)
            }
            opened => check_file(&opened.with_context(action)?).with_context(action),
        }
    }

    /// Writes a line with one call, so that lines of several processes do not mix.
    pub fn write(&mut self, line: &str) -> Result<()> {
        let action = || format!("write log file {}", self.path.display());
        self.file.write_all(line.as_bytes()).with_context(action)?;
        let length = to_u64(line.len());
        self.size = self.size.saturating_add(length);
        Ok(())
    }

    /// Opens the file at the current expansion of the pattern if the open one exceeds the maximum
    /// age or size. In append mode a file with the same path stays open. After a failure the old
    /// file is used for [`RETRY_INTERVAL`].
    pub fn rotate(&mut self, now: &Zoned) -> Result<()> {
        let age = self.opened.elapsed();
        let old = self.rotation_age.is_some_and(|limit| age >= limit);
        let large = self.rotation_size.is_some_and(|limit| self.size >= limit);
        if !(old || large)
            || self
                .last_failure
                .is_some_and(|at| at.elapsed() < RETRY_INTERVAL)
        {
            return Ok(());
        }
        let path = PathBuf::from(expand(&self.pattern, now)?);
        if path == self.path && self.mode == LogMode::Append {
            self.opened = Instant::now();
            return Ok(());
        }
        let switched = self.switch(path);
        self.last_failure = switched.is_err().then(Instant::now);
        switched
    }

    /// Reopens the file, also at the same path: it may have been renamed.
    pub fn reopen(&mut self, now: &Zoned) -> Result<()> {
        let path = PathBuf::from(expand(&self.pattern, now)?);
        self.switch(path)
    }

    /// Opens the new file; if that fails the old one stays open.
    fn switch(&mut self, path: PathBuf) -> Result<()> {
        let (file, size) = open(&path, self.mode)?;
        (self.file, self.size, self.path) = (file, size, path);
        self.opened = Instant::now();
        Ok(())
    }
}

/// Opens an existing file; a FIFO must have a reader.
fn open_existing(path: &Path) -> io::Result<File> {
    let opened = sys::open_to_append(path, None);
    opened.map_err(|error| match error.raw_os_error() {
        Some(code) if code == sys::NO_READER => io::Error::new(
            error.kind(),
            "it is a FIFO that no process reads, or a socket",
        ),
        _ => error,
    })
}

fn open(path: &Path, mode: LogMode) -> Result<(File, u64)> {
    let action = || format!("open log file {}", path.display());
    check_link(path).with_context(action)?;
    let file = match open_existing(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = sys::open_to_append(path, Some(FILE_MODE)).with_context(action)?;
            // Independent of the umask, which is that for the files of backups.
            let permissions = Permissions::from_mode(FILE_MODE);
            file.set_permissions(permissions).with_context(action)?;
            file
        }
        result => {
            let file = result.with_context(action)?;
            check_file(&file).with_context(action)?;
            file
        }
    };
    if mode == LogMode::Create {
        file.set_len(0).with_context(action)?;
    }
    let size = file.metadata().with_context(action)?.len();
    Ok((file, size))
}

/// In a directory that others can write to, a symbolic link of another user could redirect the log
/// to any file.
fn check_link(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(link) if link.is_symlink() => check_owner(link.uid(), "the symbolic link"),
        _ => Ok(()),
    }
}

/// Checks that an existing regular file belongs to this user or root and has no other hard link.
/// Terminals and pipes may belong to any user.
fn check_file(file: &File) -> Result<()> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(());
    }
    check_owner(metadata.uid(), "it")?;
    if metadata.nlink() > 1 {
        let links = metadata.nlink();
        return Err(Error::new(
            ErrorKind::Permission,
            format!("it has {links} names (hard links)"),
        )
        .with_hint(
            "remove it and find out who made it, or set a path in a directory of this user",
        ));
    }
    Ok(())
}

fn check_owner(owner: u32, what: &str) -> Result<()> {
    if owner == 0 || owner == sys::user_id() {
        return Ok(());
    }
    let message = format!("{what} belongs to user {owner}, neither to this user nor to root");
    Err(Error::new(ErrorKind::Permission, message)
        .with_hint("set a path in a directory of this user"))
}
