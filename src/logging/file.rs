//! The log file: its name is a pattern, and what the pattern becomes decides which file is written.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Zoned;

use super::pattern::expand;
use super::settings::{LogMode, LogSettings};
use crate::error::{Context, Failure, Kind, Result};
use crate::sys;

/// Who may read the log: we and our group.
const MODE: u32 = 0o640;

/// How long a file that should be left goes on when the next one cannot be opened.
const PAUSE: Duration = Duration::from_secs(60);

/// An open log file.
pub(super) struct LogFile {
    pattern: String,
    mode: LogMode,
    rotation_age: Option<Duration>,
    rotation_size: Option<u64>,
    file: File,
    path: PathBuf,
    opened: Instant,
    failed: Option<Instant>,
    size: u64,
}

impl LogFile {
    /// Opens the file that the settings name now.
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
            failed: None,
            size,
        })
    }

    /// Writes a line with one call, so that lines never mix.
    pub fn write(&mut self, line: &str) -> Result<()> {
        let doing = || format!("write log file {}", self.path.display());
        self.file.write_all(line.as_bytes()).with_context(doing)?;
        let length = u64::try_from(line.len()).unwrap_or(0);
        self.size = self.size.saturating_add(length);
        Ok(())
    }

    /// Opens the file that the pattern names now, if the open one is old or large enough. One that is continued
    /// anyway stays open. After a failure the old file goes on for a while.
    pub fn rotate(&mut self, now: &Zoned) -> Result<()> {
        let age = self.opened.elapsed();
        let old = self.rotation_age.is_some_and(|limit| age >= limit);
        let large = self.rotation_size.is_some_and(|limit| self.size >= limit);
        if !(old || large) || self.failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(());
        }
        let path = PathBuf::from(expand(&self.pattern, now)?);
        if path == self.path && self.mode == LogMode::Append {
            self.opened = Instant::now();
            return Ok(());
        }
        let switched = self.switch(path);
        self.failed = switched.is_err().then(Instant::now);
        switched
    }

    /// Opens the file anew, even under the same name: somebody may have moved it away.
    pub fn reopen(&mut self, now: &Zoned) -> Result<()> {
        let path = PathBuf::from(expand(&self.pattern, now)?);
        self.switch(path)
    }

    /// Where the new file cannot be opened the old one stays.
    fn switch(&mut self, path: PathBuf) -> Result<()> {
        let (file, size) = open(&path, self.mode)?;
        (self.file, self.size, self.path) = (file, size, path);
        self.opened = Instant::now();
        Ok(())
    }
}

fn open(path: &Path, mode: LogMode) -> Result<(File, u64)> {
    let doing = || format!("open log file {}", path.display());
    check_link(path).with_context(doing)?;
    let mut options = OpenOptions::new();
    options.append(true);
    let file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let file = options
                .create(true)
                .mode(MODE)
                .open(path)
                .with_context(doing)?;
            // Not left to the umask, which is for the files of backups.
            let permissions = Permissions::from_mode(MODE);
            file.set_permissions(permissions).with_context(doing)?;
            file
        }
        result => {
            let file = result.with_context(doing)?;
            check_own(&file).with_context(doing)?;
            file
        }
    };
    if mode == LogMode::Create {
        file.set_len(0).with_context(doing)?;
    }
    let size = file.metadata().with_context(doing)?.len();
    Ok((file, size))
}

/// A symbolic link that somebody else made, where others may write, would have us write to a file of their choice.
fn check_link(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(link) if link.is_symlink() => check_owner(link.uid(), "the symbolic link"),
        _ => Ok(()),
    }
}

/// Checks that a file which is there is one to write a log to: a regular one is ours, or root's who lets us, and has no other
/// name. A terminal or a pipe may be anybody's.
fn check_own(file: &File) -> Result<()> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(());
    }
    check_owner(metadata.uid(), "it")?;
    if metadata.nlink() > 1 {
        let names = metadata.nlink();
        return Err(Failure::new(
            Kind::Permission,
            format!("it has {names} names (hard links)"),
        )
        .hint("remove it, and look for who made it; or name a path where only we may write"));
    }
    Ok(())
}

fn check_owner(owner: u32, what: &str) -> Result<()> {
    if owner == 0 || owner == sys::user_id() {
        return Ok(());
    }
    let message = format!("{what} belongs to user {owner}, neither to us nor to root");
    Err(Failure::new(Kind::Permission, message).hint("name a path where only we may write"))
}
