//! The Unix socket for management clients.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::lock::remove_lock_file;
use crate::config::Config;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage;
use crate::sys::{FileIdentity, LockFile, set_backlog, user_id};

/// The listening socket `.s.pgmoneta`, mode 0600. The lock file beside it protects the socket of a
/// running daemon from being replaced.
pub(super) struct ManagementSocket {
    path: PathBuf,
    /// Of the socket file that this daemon created.
    identity: FileIdentity,
    lock: LockFile,
}

impl ManagementSocket {
    /// Binds the socket, and replaces a stale one. The listener is non-blocking.
    pub(super) fn listen(config: &Config) -> Result<(ManagementSocket, UnixListener)> {
        let path = config.socket_path();
        let lock = lock(config)?;
        match bind(&path, config.backlog) {
            Ok((listener, identity)) => {
                let socket = ManagementSocket {
                    path,
                    identity,
                    lock,
                };
                Ok((socket, listener))
            }
            Err(failure) => {
                remove_lock_file(lock);
                Err(failure)
            }
        }
    }

    /// Fails if [`ManagementSocket::listen`] would refuse the files at its paths, without changing
    /// them.
    pub(super) fn check(config: &Config) -> Result<()> {
        let path = config.socket_path();
        LockFile::check(&lock_path(config))?;
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            _ => check_own_socket(&path).map(|_| ()),
        }
    }

    /// Writes the process id into the lock file. To be called after detaching.
    pub(super) fn write_pid(&mut self) -> Result<()> {
        self.lock.write_pid()
    }

    /// Recreates the socket and its lock file if they were removed; returns the new listener.
    pub(super) fn recreate_missing(&mut self, config: &Config) -> Result<Option<UnixListener>> {
        let directory = &config.unix_socket_dir;
        storage::create_directories(directory).context("create unix_socket_dir")?;
        if !self.lock.is_in_place() {
            self.lock = lock(config)?;
        }
        if self.is_in_place() {
            return Ok(None);
        }
        let (listener, identity) = bind(&self.path, config.backlog)?;
        self.identity = identity;
        log::warn!("{} was missing and has been recreated", self.path.display());
        Ok(Some(listener))
    }

    fn is_in_place(&self) -> bool {
        FileIdentity::lstat(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    /// Removes the socket and its lock file, but no files that replaced them.
    pub(super) fn remove(self) {
        if self.is_in_place()
            && let Err(failure) = storage::remove_file(&self.path)
        {
            log::warn!("{failure}");
        }
        remove_lock_file(self.lock);
    }
}

const IN_USE: &str = "a daemon with the same unix_socket_dir is running already";

fn lock_path(config: &Config) -> PathBuf {
    let mut path = config.socket_path().into_os_string();
    path.push(".lock");
    PathBuf::from(path)
}

fn lock(config: &Config) -> Result<LockFile> {
    let lock = LockFile::acquire(&lock_path(config), 0o600);
    let mut lock = lock.map_err(|failure| {
        if failure.kind() == ErrorKind::Busy {
            failure.with_hint(IN_USE)
        } else {
            failure
        }
    })?;
    lock.write_pid()?;
    Ok(lock)
}

/// Binds the socket; returns its listener and the identity of its file.
fn bind(path: &Path, backlog: u32) -> Result<(UnixListener, FileIdentity)> {
    remove_stale_socket(path)?;
    let action = || format!("listen on {}", path.display());
    let listener = UnixListener::bind(path).with_context(action)?;
    let ready = check_own_socket(path).and_then(|metadata| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        set_backlog(&listener, backlog)?;
        Ok(FileIdentity::from(metadata))
    });
    match ready {
        Ok(identity) => Ok((listener, identity)),
        Err(failure) => {
            storage::remove_file(path)?;
            Err(failure.context(action()))
        }
    }
}

/// Removes the socket of a daemon that no longer runs. Any other file stays.
fn remove_stale_socket(path: &Path) -> Result<()> {
    let action = || format!("check {}", path.display());
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result.with_context(action)?,
    };
    // The daemon of the C program takes no lock, so try to connect to it.
    match UnixStream::connect(path) {
        Ok(_) => {
            let busy = format!("another process listens on {} already", path.display());
            Err(Error::new(ErrorKind::Busy, busy).with_hint(IN_USE))
        }
        // A file that is not a socket gives this error too.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            check_own_socket(path)?;
            storage::remove_file(path)
        }
        Err(error) => Err(error).with_context(action),
    }
}

/// Checks that `path` is a socket of the daemon's user.
fn check_own_socket(path: &Path) -> Result<Metadata> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.file_type().is_socket() && metadata.uid() == user_id() {
        return Ok(metadata);
    }
    let message = format!("{} is not a socket of this user", path.display());
    Err(Error::new(ErrorKind::Permission, message)
        .with_hint("remove it if it is not needed, or choose another unix_socket_dir"))
}
