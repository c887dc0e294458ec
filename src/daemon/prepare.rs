//! Everything that can fail before the daemon serves: keys, locks, directories, the socket.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use super::socket::ManagementSocket;
use crate::config::Config;
use crate::crypto::MasterKey;
use crate::error::{Context, Failure, Kind, Result};
use crate::repository::Repository;
use crate::storage;
use crate::sys::{self, LockFile};
use crate::vault::{self, Vault};

/// What a daemon holds before it starts its threads. The locks live on in the process that detaches.
pub(super) struct Prepared {
    /// The configuration.
    pub config: Arc<Config>,
    /// The key for stored files and messages.
    pub key: Arc<MasterKey>,
    /// The credentials for PostgreSQL.
    pub vault: Arc<Vault>,
    /// What to accept from.
    pub listener: UnixListener,
    /// What keeps other daemons out.
    pub held: Held,
}

/// What keeps other daemons out: the socket, the pid file, the lock on the repository.
pub(super) struct Held {
    socket: ManagementSocket,
    pidfile: LockFile,
    repository: LockFile,
}

impl Held {
    /// Writes our pid into the files. To be called in the process that stays.
    pub(super) fn write_pid(&mut self) -> Result<()> {
        self.pidfile.write_pid()?;
        self.repository.write_pid()?;
        self.socket.write_pid()
    }

    /// Removes what the next daemon makes anew, and gives the repository free.
    pub(super) fn release(self) {
        self.socket.remove();
        forget(self.pidfile);
        drop(self.repository);
    }
}

impl Prepared {
    /// Does all of it. Nothing stays behind when it fails.
    pub(super) fn new(config: Config) -> Result<Prepared> {
        if sys::user_id() == 0 {
            return Err(
                Failure::new(Kind::Permission, "the daemon does not run as root")
                    .hint("run it as the user who owns the repository"),
            );
        }
        let key = vault::load_master_key(&vault::master_key_path()?)?;
        let vault = Vault::load(&config.users_path, &key)?;
        if let Some(admins) = &config.admins_path {
            Vault::load(admins, &key)?;
        }
        config.check_users(|name| vault.password(name).is_some())?;
        let repository = lock_repository(&config)?;
        for server in &config.servers {
            Repository::open(&config.base_dir, &server.name)?;
        }
        let pidfile = lock_pidfile(&config)?;
        let (socket, listener) = match ManagementSocket::listen(&config) {
            Ok(listening) => listening,
            Err(failure) => {
                forget(pidfile);
                return Err(failure);
            }
        };
        Ok(Prepared {
            config: Arc::new(config),
            key: Arc::new(key),
            vault: Arc::new(vault),
            listener,
            held: Held {
                socket,
                pidfile,
                repository,
            },
        })
    }
}

/// Removes a lock file and then lets the lock go, so that nobody locks what is about to be removed.
pub(super) fn forget(lock: LockFile) {
    if let Err(failure) = storage::remove_file(lock.path()) {
        log::warn!("{failure}");
    }
    drop(lock);
}

fn lock_repository(config: &Config) -> Result<LockFile> {
    storage::create_directories(&config.base_dir).context("make base_dir")?;
    let path = config.base_dir.join(".lock");
    LockFile::acquire(&path, 0o600).map_err(|failure| in_use(failure, "base_dir"))
}

fn lock_pidfile(config: &Config) -> Result<LockFile> {
    let path = &config.pidfile;
    if let Some(directory) = path.parent() {
        storage::create_directories(directory).context("make the directory of the pid file")?;
    }
    LockFile::acquire(path, 0o640).map_err(|failure| in_use(failure, "pidfile"))
}

fn in_use(failure: Failure, key: &str) -> Failure {
    if failure.kind() == Kind::Busy {
        failure.hint(format!("a daemon with the same {key} is running already"))
    } else {
        failure
    }
}
