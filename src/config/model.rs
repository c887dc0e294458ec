//! The typed configuration.

use std::fmt;
use std::path::PathBuf;

use crate::logging::LogSettings;
use crate::unit::{ByteSize, Compression, Encryption, Level, ServerName, Span};

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The main file.
    pub path: PathBuf,
    /// The users file (credentials for PostgreSQL).
    pub users_path: PathBuf,
    /// The admins file (remote management), if there is one.
    pub admins_path: Option<PathBuf>,
    /// The address for TCP services, `*` for all; also part of the default name of the pid file.
    pub host: String,
    /// The directory of the management socket.
    pub unix_socket_dir: PathBuf,
    /// The root of the repository.
    pub base_dir: PathBuf,
    /// The pid file.
    pub pidfile: PathBuf,
    /// How backups and WAL are compressed.
    pub compression: Compression,
    /// How hard.
    pub compression_level: Level,
    /// How backups and WAL are encrypted.
    pub encryption: Encryption,
    /// Threads of the pool; at least 1 (0 in the file means one per CPU).
    pub workers: usize,
    /// The same as the file has it: 0 is one for each CPU.
    pub configured_workers: u32,
    /// How long backups are kept.
    pub retention: Retention,
    /// The longest wait for a blocking operation, such as WAL that a backup needs.
    pub blocking_timeout: Span,
    /// The longest wait for a log-in, ours or a client's.
    pub authentication_timeout: Span,
    /// Whether connections are probed when idle.
    pub keep_alive: bool,
    /// Whether small packets are sent at once.
    pub nodelay: bool,
    /// The length of the queue of connections that wait to be accepted.
    pub backlog: u32,
    /// Where the log goes.
    pub log: LogSettings,
    /// The servers, in the order of the file.
    pub servers: Vec<Server>,
    /// Keys that are set and whose feature is not there yet, one text for each, for a warning at the start.
    pub not_yet: Vec<String>,
}

impl Config {
    /// The server of that name.
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.servers
            .iter()
            .find(|server| server.name.as_str() == name)
    }

    /// The path of the management socket.
    pub fn socket_path(&self) -> PathBuf {
        self.unix_socket_dir.join(".s.pgmoneta")
    }
}

/// A PostgreSQL server to keep restorable. Global settings that a server inherits are resolved.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its name.
    pub name: ServerName,
    /// Where it listens.
    pub host: Host,
    /// Its port; also part of the name of its Unix socket.
    pub port: u16,
    /// The role that we log in as; its password is in the users file.
    pub user: String,
    /// The physical replication slot.
    pub wal_slot: String,
    /// Whether to create the slot if it is missing.
    pub create_slot: bool,
    /// The name that we give ourselves, which `synchronous_standby_names` may list.
    pub application_name: String,
    /// Threads that this server's work may use; at least 1.
    pub workers: usize,
    /// The same as the file has it, for the server or for all: 0 is one for each CPU.
    pub configured_workers: u32,
    /// The most bytes a second a base backup may take; `None` for no limit.
    pub max_rate: Option<ByteSize>,
    /// Whether the checkpoint of a backup is fast or spread.
    pub checkpoint: Checkpoint,
    /// How long backups of it are kept.
    pub retention: Retention,
    /// How long the receiver waits for a sign of life before it reconnects.
    pub wal_receiver_timeout: Span,
    /// Whether the connection is encrypted.
    pub tls: TlsMode,
    /// The files that TLS needs.
    pub tls_files: TlsFiles,
    /// How the server may let us in besides SCRAM-SHA-256.
    pub auth: AuthMethods,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Tcp(String),
    /// The directory of its Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Tcp(host) => f.write_str(host),
            Host::Unix(directory) => directory.display().fmt(f),
        }
    }
}

/// How the checkpoint at the start of a backup runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checkpoint {
    /// At once.
    #[default]
    Fast,
    /// Spread over time, as the server's own checkpoints.
    Spread,
}

/// Whether a connection to PostgreSQL is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// No.
    #[default]
    Off,
    /// Yes, with whatever certificate the server shows.
    On,
    /// Yes, and the certificate must be signed by a known authority and name the host.
    Verify,
}

/// The files that TLS needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// The authorities that we trust, PEM.
    pub authority: Option<PathBuf>,
}

/// How a server may let us in besides SCRAM-SHA-256, which alone shows that the server knows the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthMethods {
    /// MD5 challenge and response.
    pub md5: bool,
    /// The password in clear.
    pub password: bool,
    /// No question at all, which is what `trust`, `peer` and `ident` look like from here.
    pub trust: bool,
    /// No question at all over TLS, where we have a certificate to show.
    pub cert: bool,
}

/// How many days, weeks, months and years backups are kept; `None` where unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days.
    pub days: Option<u32>,
    /// Weeks.
    pub weeks: Option<u32>,
    /// Months.
    pub months: Option<u32>,
    /// Years.
    pub years: Option<u32>,
}
