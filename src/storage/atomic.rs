//! Files that are replaced atomically.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::directory::{parent, sync_directory};
use super::names::TEMPORARY_SUFFIX;
use super::staged::WRITEBACK_INTERVAL;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys;
use crate::unit::to_u64;

/// A file that gets its name when it is complete and on stable storage, and is removed when it is
/// dropped before. Mode 0600. Until then it is `.<name>.tmp` in the same directory.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    committed: bool,
    written: u64,
    writeback_started: u64,
}

impl AtomicFile {
    /// Creates the temporary file for `path`, which may exist. Only one writer at a time for a
    /// path: a temporary file left by a crash is removed.
    pub fn create(path: &Path) -> Result<AtomicFile> {
        if path.file_name().is_none() {
            let message = format!("{} has no file name", path.display());
            return Err(Error::new(ErrorKind::Internal, message));
        }
        let temporary = temporary_path(path);
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
            written: 0,
            writeback_started: 0,
        })
    }

    /// The final path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the content and returns the temporary path, to read it back. The page cache is dropped
    /// if the kernel supports that, so that the next read comes from the disk.
    pub fn sync(&self) -> Result<&Path> {
        self.file
            .sync_all()
            .with_context(|| format!("sync {}", self.temporary.display()))?;
        sys::drop_page_cache(&self.file);
        Ok(&self.temporary)
    }

    /// Sets the permission bits and the time of the last change to those of another file.
    pub fn copy_attributes(&self, from: &Metadata) -> Result<()> {
        let mode = from.permissions().mode() & 0o777;
        let modified = from.modified();
        self.file
            .set_permissions(Permissions::from_mode(mode))
            .and_then(|()| self.file.set_modified(modified?))
            .with_context(|| format!("set the mode and time of {}", self.temporary.display()))
    }

    /// As [`AtomicFile::commit`], but if the final path exists, that is [`ErrorKind::Io`] and it
    /// stays unchanged.
    fn commit_new(self) -> Result<()> {
        let path = self.path.clone();
        self.file
            .sync_all()
            .with_context(|| format!("sync {}", self.temporary.display()))?;
        // Unlike a rename, a link never replaces another file.
        std::fs::hard_link(&self.temporary, &path)
            .with_context(|| format!("create {}", path.display()))?;
        drop(self);
        sync_directory(parent(&path))
    }

    /// As [`AtomicFile::commit_new`], also on a file system without hard links, such as that of a
    /// removable disk; the file has one name at each instant.
    pub fn commit_exclusively(mut self) -> Result<()> {
        self.file
            .sync_all()
            .with_context(|| format!("sync {}", self.temporary.display()))?;
        match rename_exclusively(&self.temporary, &self.path) {
            Some(renamed) => {
                renamed.with_context(|| format!("create {}", self.path.display()))?;
                self.committed = true;
                sync_directory(parent(&self.path))
            }
            None => self.commit_new(),
        }
    }

    /// Syncs the content, renames the file to its final path and syncs the directory.
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

/// Renames a file unless the new path exists; `None` if the system or the file system cannot do
/// that.
#[cfg(target_os = "linux")]
fn rename_exclusively(from: &Path, to: &Path) -> Option<io::Result<()>> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => None,
        result => Some(result.map_err(Into::into)),
    }
}

#[cfg(not(target_os = "linux"))]
fn rename_exclusively(_from: &Path, _to: &Path) -> Option<io::Result<()>> {
    None
}

/// The path of the temporary file for `path`.
pub fn temporary_path(path: &Path) -> PathBuf {
    let mut hidden = OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    hidden.push(TEMPORARY_SUFFIX);
    path.with_file_name(hidden)
}

/// Creates the file `path` with `bytes`, durably; an existing file is [`ErrorKind::Io`] and stays
/// unchanged. Mode 0600.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .with_context(|| format!("write {}", file.temporary.display()))?;
    file.commit_new()
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written += to_u64(count);
        let pending = self.written - self.writeback_started;
        if pending >= WRITEBACK_INTERVAL {
            sys::start_writeback(&self.file, self.writeback_started, pending);
            self.writeback_started = self.written;
        }
        Ok(count)
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

/// Replaces the file `path` by `bytes`: afterwards all of them are durable, or the old file is
/// unchanged.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .with_context(|| format!("write {}", file.temporary.display()))?;
    file.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_not_replaced_and_nothing_else_is_left() {
        let root = std::env::temp_dir().join(format!("pgmoneta-atomic-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let path = root.join("f");
        let write = |bytes: &[u8]| {
            let mut file = AtomicFile::create(&path)?;
            file.write_all(bytes)?;
            assert!(temporary_path(&path).exists());
            file.commit_exclusively()
        };
        write(b"one").unwrap();
        assert!(write(b"two").is_err());
        let linked = create_new(&path, b"three");
        let left = std::fs::read_dir(&root).unwrap().count();
        let content = std::fs::read(&path).unwrap();
        std::fs::remove_dir_all(&root).unwrap();
        assert!(linked.is_err() && left == 1 && content == b"one");
    }
}
