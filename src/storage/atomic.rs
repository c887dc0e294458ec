//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::directory::sync_directory;
use crate::error::{Context, Failure, Kind, Result};
use crate::sys;

/// A file that gets its name when it is complete and on stable storage, and leaves nothing behind when it is dropped
/// before. Mode 0600. Until then it lies beside its place as `.<name>.tmp`.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    committed: bool,
}

impl AtomicFile {
    /// Begins the file that will be `path`, in place of one that may be there. One writer at a time for a path: a
    /// left-over of an earlier one is overwritten.
    pub fn create(path: &Path) -> Result<AtomicFile> {
        let name = path.file_name().ok_or_else(|| {
            Failure::new(
                Kind::Internal,
                format!("{} has no file name", path.display()),
            )
        })?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".tmp");
        let temporary = path.with_file_name(hidden);
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", temporary.display()));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .with_context(|| format!("create {}", temporary.display()))?;
        Ok(AtomicFile {
            file,
            temporary,
            path: path.to_owned(),
            committed: false,
        })
    }

    /// The path that it will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the content; where it lies until it has its name, to be read back. The next read comes from the disk, where
    /// the kernel lets us ask for that.
    pub fn settle(&self) -> Result<&Path> {
        self.file
            .sync_all()
            .with_context(|| format!("sync {}", self.temporary.display()))?;
        sys::forget_cached(&self.file);
        Ok(&self.temporary)
    }

    /// Syncs the content, gives it its name and syncs the directory.
    pub fn commit(mut self) -> Result<()> {
        self.file
            .sync_all()
            .with_context(|| format!("sync {}", self.temporary.display()))?;
        std::fs::rename(&self.temporary, &self.path).with_context(|| {
            format!(
                "rename {} to {}",
                self.temporary.display(),
                self.path.display()
            )
        })?;
        self.committed = true;
        sync_directory(parent(&self.path))
    }
}

/// Makes the file at `path` with `bytes` in it, durably; one that is there already is [`Kind::Io`] and stays as it is.
/// Mode 0600.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .and_then(|()| file.file.sync_all())
        .with_context(|| format!("write {}", file.temporary.display()))?;
    // Unlike a rename, a link never takes the place of another file.
    std::fs::hard_link(&file.temporary, path)
        .with_context(|| format!("create {}", path.display()))?;
    drop(file);
    sync_directory(parent(path))
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = std::fs::remove_file(&self.temporary)
        {
            log::warn!("remove {}: {error}", self.temporary.display());
        }
    }
}

/// Puts `bytes` in the place of the file at `path`: afterwards all of them are durable, or the old file is untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .with_context(|| format!("write {}", file.temporary.display()))?;
    file.commit()
}

/// The directory of `path`, `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
