//! The management socket of this machine.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::prepare::forget;
use crate::config::Config;
use crate::error::{Context, Failure, Kind, Result};
use crate::storage;
use crate::sys::{FileIdentity, LockFile, set_backlog, user_id};

/// The longest path of a Unix socket that all systems take, in bytes (`sun_path` of the BSDs has 104, with its NUL).
const LONGEST_PATH: usize = 103;

/// The socket `.s.pgmoneta`, which listens, mode 0600. A lock beside it makes sure that the socket of a daemon that
/// lives is never taken away.
pub(super) struct ManagementSocket {
    path: PathBuf,
    /// Which file the socket is.
    identity: FileIdentity,
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
                forget(lock);
                Err(failure)
            }
        }
    }

    /// Whose lock it is: to be called after detaching.
    pub(super) fn write_pid(&mut self) -> Result<()> {
        self.lock.write_pid()
    }

    /// Makes the socket and its lock anew if somebody removed them; the new listener.
    pub(super) fn tend(&mut self, config: &Config) -> Result<Option<UnixListener>> {
        if !self.lock.is_in_place() {
            self.lock = lock(config)?;
        }
        if self.is_in_place() {
            return Ok(None);
        }
        let (listener, identity) = bind(&self.path, config.backlog)?;
        self.identity = identity;
        log::warn!("{} was gone; it was made anew", self.path.display());
        Ok(Some(listener))
    }

    fn is_in_place(&self) -> bool {
        FileIdentity::named(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    /// Removes the socket and its lock; what somebody put in their place stays.
    pub(super) fn remove(self) {
        if self.is_in_place()
            && let Err(failure) = storage::remove_file(&self.path)
        {
            log::warn!("{failure}");
        }
        forget(self.lock);
    }
}

const IN_USE: &str = "a daemon with the same unix_socket_dir is running already";

fn lock(config: &Config) -> Result<LockFile> {
    storage::create_directories(&config.unix_socket_dir).context("make unix_socket_dir")?;
    let mut path = config.socket_path().into_os_string();
    path.push(".lock");
    let lock = LockFile::acquire(Path::new(&path), 0o600);
    let mut lock = lock.map_err(|failure| {
        if failure.kind() == Kind::Busy {
            failure.hint(IN_USE)
        } else {
            failure
        }
    })?;
    lock.write_pid()?;
    Ok(lock)
}

/// Binds the socket; what listens, and which file it is.
fn bind(path: &Path, backlog: u32) -> Result<(UnixListener, FileIdentity)> {
    clear(path)?;
    let doing = || format!("listen on {}", path.display());
    let listener = UnixListener::bind(path).with_context(doing)?;
    let ready = own_socket(path).and_then(|metadata| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        set_backlog(&listener, backlog)?;
        Ok(FileIdentity::from(metadata))
    });
    match ready {
        Ok(identity) => Ok((listener, identity)),
        Err(failure) => {
            storage::remove_file(path)?;
            Err(failure.context(doing()))
        }
    }
}

/// Removes the socket that a dead daemon left. Anything else stays.
fn clear(path: &Path) -> Result<()> {
    let doing = || format!("look at {}", path.display());
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result.with_context(doing)?,
    };
    // We hold the lock, but a daemon of the C program knows no lock: ask whether somebody answers.
    match UnixStream::connect(path) {
        Ok(_) => {
            let busy = format!("somebody listens on {} already", path.display());
            Err(Failure::new(Kind::Busy, busy).hint(IN_USE))
        }
        // This is what is said of a file that is no socket, too.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            own_socket(path)?;
            storage::remove_file(path)
        }
        Err(error) => Err(error).with_context(doing),
    }
}

/// Checks that a socket of ours is at `path`, and nothing else.
fn own_socket(path: &Path) -> Result<Metadata> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.file_type().is_socket() && metadata.uid() == user_id() {
        return Ok(metadata);
    }
    let message = format!("{} is not a socket of ours", path.display());
    Err(Failure::new(Kind::Permission, message)
        .hint("remove it if nobody needs it, or choose another unix_socket_dir"))
}
