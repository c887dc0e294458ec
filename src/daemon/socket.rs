//! The management socket of this machine.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::prepare::forget;
use crate::config::Config;
use crate::error::{Context, Failure, Kind, Result};
use crate::storage;
use crate::sys::{LockFile, set_backlog};

/// The longest path of a Unix socket that all systems take, in bytes (`sun_path` of the BSDs has 104, with its NUL).
const LONGEST_PATH: usize = 103;

/// The socket `.s.pgmoneta`, which listens, mode 0600. A lock beside it makes sure that the socket of a daemon that
/// lives is never taken away.
pub(super) struct ManagementSocket {
    path: PathBuf,
    lock: LockFile,
}

impl ManagementSocket {
    /// Binds the socket in place of one that a dead daemon left. What to accept from does not block.
    pub(super) fn listen(config: &Config) -> Result<(ManagementSocket, UnixListener)> {
        let path = config.socket_path();
        if path.as_os_str().len() > LONGEST_PATH {
            return Err(Failure::new(
                Kind::Configuration,
                format!(
                    "the path of the socket {} is longer than {LONGEST_PATH} bytes",
                    path.display()
                ),
            )
            .hint("choose a shorter unix_socket_dir"));
        }
        storage::create_directories(&config.unix_socket_dir).context("make unix_socket_dir")?;
        let mut lock = path.clone().into_os_string();
        lock.push(".lock");
        let mut lock = LockFile::acquire(Path::new(&lock), 0o600).map_err(|failure| {
            if failure.kind() == Kind::Busy {
                failure.hint(IN_USE)
            } else {
                failure
            }
        })?;
        lock.write_pid()?;
        match bind(&path, config.backlog) {
            Ok(listener) => Ok((ManagementSocket { path, lock }, listener)),
            Err(failure) => {
                forget(lock);
                Err(failure)
            }
        }
    }

    /// Whose lock it is: to be called after detaching.
    pub(super) fn write_pid(&mut self) -> Result<()> {
        self.lock.write_pid()
    }

    /// Removes the socket and its lock.
    pub(super) fn remove(self) {
        if let Err(failure) = storage::remove_file(&self.path) {
            log::warn!("{failure}");
        }
        forget(self.lock);
    }
}

const IN_USE: &str = "a daemon with the same unix_socket_dir is running already";

fn bind(path: &Path, backlog: u32) -> Result<UnixListener> {
    // We hold the lock, but a daemon of the C program knows no lock: ask whether somebody answers.
    match UnixStream::connect(path) {
        Ok(_) => {
            let busy = format!("somebody listens on {} already", path.display());
            return Err(Failure::new(Kind::Busy, busy).hint(IN_USE));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            storage::remove_file(path)?;
        }
        Err(error) => return Err(error).with_context(|| format!("look at {}", path.display())),
    }
    let doing = || format!("listen on {}", path.display());
    let listener = UnixListener::bind(path).with_context(doing)?;
    let ready = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| listener.set_nonblocking(true))
        .map_err(Failure::from)
        .and_then(|()| set_backlog(&listener, backlog));
    match ready {
        Ok(()) => Ok(listener),
        Err(failure) => {
            storage::remove_file(path)?;
            Err(failure.context(doing()))
        }
    }
}
