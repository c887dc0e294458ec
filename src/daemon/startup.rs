//! The steps that can fail before the daemon serves: keys, locks, directories, the socket.

use std::os::unix::net::UnixListener;
use std::sync::Arc;

use super::lock::remove_lock_file;
use super::metrics::{self, MetricsListener};
use super::nagios::NagiosListener;
use super::ports::PortSetups;
use super::remote::{self, RemoteSetup};
use super::socket::ManagementSocket;
use crate::config::{Config, ConfigHandle};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::repository::BaseDirectory;
use crate::storage;
use crate::sys::{self, LockFile};
use crate::unit::ServerName;
use crate::vault::{self, Vault};

/// What the daemon has before it starts its threads. The locks survive detaching.
pub(super) struct Startup {
    pub config: ConfigHandle,
    /// Encrypts stored files and messages.
    pub key: Arc<MasterKey>,
    /// The passwords for PostgreSQL, from `pgmoneta_users.conf`.
    pub vault: Arc<Vault>,
    pub base: Arc<BaseDirectory>,
    /// Of the management socket; non-blocking.
    pub listener: UnixListener,
    pub ports: PortSetups,
    pub locks: Locks,
}

/// Prevents a second daemon: the socket, the pid file, the lock on the repository.
pub(super) struct Locks {
    socket: ManagementSocket,
    pidfile: LockFile,
    base: Arc<BaseDirectory>,
    /// The errors of the last [`Locks::recreate_missing`], each of which is logged once.
    last_errors: Vec<String>,
}

impl Locks {
    /// Writes the process id into the files. To be called after detaching.
    pub(super) fn write_pid(&mut self) -> Result<()> {
        self.pidfile.write_pid()?;
        self.base.write_pid()?;
        self.socket.write_pid()
    }

    /// Recreates the files that were removed, for example by a cleaner of temporary files; returns
    /// the listener of a recreated socket. An error is logged once, and tried again.
    pub(super) fn recreate_missing(&mut self, config: &Config) -> Option<UnixListener> {
        let pidfile = if self.pidfile.is_in_place() {
            Ok(())
        } else {
            lock_pidfile(config).and_then(|mut pidfile| {
                pidfile.write_pid()?;
                self.pidfile = pidfile;
                log::warn!(
                    "{} was missing and has been recreated",
                    config.pidfile.display()
                );
                Ok(())
            })
        };
        let socket = self.socket.recreate_missing(config);
        let failures = [pidfile.as_ref().err(), socket.as_ref().err()];
        let failures: Vec<_> = failures
            .into_iter()
            .flatten()
            .map(|failure| failure.message_with_hint())
            .collect();
        if failures != self.last_errors {
            failures.iter().for_each(|failure| log::error!("{failure}"));
        }
        self.last_errors = failures;
        socket.ok().flatten()
    }

    /// Removes the socket and the pid file, and unlocks the repository.
    pub(super) fn release(self) {
        self.socket.remove();
        remove_lock_file(self.pidfile);
        drop(self.base);
    }
}

impl Startup {
    /// Leaves no file behind when it fails.
    pub(super) fn new(config: Config) -> Result<Startup> {
        if sys::user_id() == 0 {
            return Err(
                Error::new(ErrorKind::Permission, "the daemon does not run as root")
                    .with_hint("run it as the user who owns the repository"),
            );
        }
        let Secrets { key, vault, admins } = load_vault(&config)?;
        let base = Arc::new(open_base(&config)?);
        let metrics = MetricsListener::open(&config)?;
        let nagios = NagiosListener::open(&config)?;
        let pidfile = lock_pidfile(&config)?;
        let opened = RemoteSetup::open(&config, &admins)
            .and_then(|remote| Ok((remote, ManagementSocket::listen(&config)?)));
        let (remote, (socket, listener)) = match opened {
            Ok(opened) => opened,
            Err(failure) => {
                remove_lock_file(pidfile);
                return Err(failure);
            }
        };
        Ok(Startup {
            config: ConfigHandle::new(config),
            key: Arc::new(key),
            vault: Arc::new(vault),
            listener,
            ports: PortSetups {
                remote,
                metrics,
                nagios,
            },
            locks: Locks {
                socket,
                pidfile,
                base: base.clone(),
                last_errors: Vec::new(),
            },
            base,
        })
    }
}

/// What [`Startup::new`] would refuse, as far as it can be seen without creating, locking or
/// changing a file. What a running daemon has locked is accepted.
pub(super) fn check(config: &Config) -> Vec<Error> {
    let checks = [
        load_vault(config).map(|_| ()),
        BaseDirectory::check(&config.base_dir, &server_names(config)),
        LockFile::check(&config.pidfile),
        ManagementSocket::check(config),
        remote::check(config),
        metrics::check(config),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

struct Secrets {
    key: MasterKey,
    vault: Vault,
    /// The users of the admins file; none without it.
    admins: Vault,
}

/// The master key, the passwords of all users of the servers, and those of the admins.
fn load_vault(config: &Config) -> Result<Secrets> {
    let key = vault::load_master_key(&vault::master_key_path()?)?;
    let vault = Vault::load(&config.users_path, &key)?;
    let admins = match &config.admins_path {
        Some(path) => Vault::load(path, &key)?,
        None => Vault::default(),
    };
    config.check_users(|name| vault.password(name).is_some())?;
    Ok(Secrets { key, vault, admins })
}

fn server_names(config: &Config) -> Vec<ServerName> {
    let servers = config.servers.iter();
    servers.map(|server| server.name.clone()).collect()
}

/// Opens the repository. Missing directories of one server don't stop the daemon: its WAL receiver
/// reports them.
fn open_base(config: &Config) -> Result<BaseDirectory> {
    let names = server_names(config);
    let base = BaseDirectory::open(&config.base_dir, &names)
        .map_err(|failure| explain_busy(failure, "base_dir"))?;
    for name in &names {
        match base.repository(name) {
            Err(failure) if failure.kind() != ErrorKind::NotFound => return Err(failure),
            _ => {}
        }
    }
    Ok(base)
}

fn lock_pidfile(config: &Config) -> Result<LockFile> {
    let path = &config.pidfile;
    if let Some(directory) = path.parent() {
        storage::create_directories(directory).context("create the directory of the pid file")?;
    }
    LockFile::acquire(path, 0o640).map_err(|failure| explain_busy(failure, "pidfile"))
}

fn explain_busy(failure: Error, key: &str) -> Error {
    if failure.kind() == ErrorKind::Busy {
        failure.with_hint(format!("a daemon with the same {key} is running already"))
    } else {
        failure
    }
}
