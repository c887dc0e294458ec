//! Everything that can fail before the daemon serves: keys, locks, directories, the socket.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use super::socket::ManagementSocket;
use crate::config::Config;
use crate::crypto::MasterKey;
use crate::error::{Context, Failure, Kind, Result};
use crate::repository::BaseDirectory;
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
    /// The repository.
    pub base: Arc<BaseDirectory>,
    /// What to accept from.
    pub listener: UnixListener,
    /// What keeps other daemons out.
    pub held: Held,
}

/// What keeps other daemons out: the socket, the pid file, the lock on the repository.
pub(super) struct Held {
    socket: ManagementSocket,
    pidfile: LockFile,
    base: Arc<BaseDirectory>,
    /// What could not be made anew at the last look.
    told: Vec<String>,
}

impl Held {
    /// Writes our pid into the files. To be called in the process that stays.
    pub(super) fn write_pid(&mut self) -> Result<()> {
        self.pidfile.write_pid()?;
        self.base.write_pid()?;
        self.socket.write_pid()
    }

    /// Makes anew what somebody removed, such as a cleaner of temporary files; the listener of a socket that was made anew.
    /// What fails is told once, and tried again.
    pub(super) fn tend(&mut self, config: &Config) -> Option<UnixListener> {
        let pidfile = if self.pidfile.is_in_place() {
            Ok(())
        } else {
            lock_pidfile(config).and_then(|mut pidfile| {
                pidfile.write_pid()?;
                self.pidfile = pidfile;
                log::warn!("{} was gone; it was made anew", config.pidfile.display());
                Ok(())
            })
        };
        let socket = self.socket.tend(config);
        let failures = [pidfile.as_ref().err(), socket.as_ref().err()];
        let failures: Vec<_> = failures
            .into_iter()
            .flatten()
            .map(|failure| failure.told())
            .collect();
        if failures != self.told {
            failures.iter().for_each(|failure| log::error!("{failure}"));
        }
        self.told = failures;
        socket.ok().flatten()
    }

    /// Removes what the next daemon makes anew, and gives the repository free.
    pub(super) fn release(self) {
        self.socket.remove();
        forget(self.pidfile);
        drop(self.base);
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
        let base = Arc::new(open_base(&config)?);
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
                base: base.clone(),
                told: Vec::new(),
            },
            base,
        })
    }
}

/// Removes a lock file and then lets the lock go, so that nobody locks what is about to be removed. What somebody put in its
/// place stays.
pub(super) fn forget(lock: LockFile) {
    if lock.is_in_place()
        && let Err(failure) = storage::remove_file(lock.path())
    {
        log::warn!("{failure}");
    }
    drop(lock);
}

/// Finds the repository. A server whose directories are not there keeps no other one from being looked after: its receiver
/// raises the alarm.
fn open_base(config: &Config) -> Result<BaseDirectory> {
    let names: Vec<_> = config
        .servers
        .iter()
        .map(|server| server.name.clone())
        .collect();
    let base = BaseDirectory::open(&config.base_dir, &names)
        .map_err(|failure| in_use(failure, "base_dir"))?;
    for name in &names {
        match base.repository(name) {
            Err(failure) if failure.kind() != Kind::NotFound => return Err(failure),
            _ => {}
        }
    }
    Ok(base)
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
