//! The types of the checked configuration.

use std::fmt;
use std::path::PathBuf;

use crate::codec::{Compression, Level};
use crate::logging::LogSettings;
use crate::unit::{ByteSize, Encryption, ServerName, Span};

/// The checked configuration of the daemon.
#[derive(Clone, Debug)]
pub struct Config {
    /// The absolute path of the main file.
    pub path: PathBuf,
    /// The absolute path of the users file (credentials for PostgreSQL).
    pub users_path: PathBuf,
    /// The absolute path of the admins file (remote management), if it exists.
    pub admins_path: Option<PathBuf>,
    /// The address for TCP services, `*` for all; also part of the default name of the pid file.
    pub host: String,
    /// The directory of the management socket; it exists.
    pub unix_socket_dir: PathBuf,
    /// The root directory of the repository.
    pub base_dir: PathBuf,
    /// The path of the pid file, set or from `unix_socket_dir` and `host`.
    pub pidfile: PathBuf,
    /// How backups and WAL are compressed.
    pub compression: Compression,
    /// The compression level, in the range of `compression`.
    pub compression_level: Level,
    /// How backups and WAL are encrypted.
    pub encryption: Encryption,
    /// Threads of the pool; at least 1 (0 in the file means one per CPU).
    pub workers: usize,
    /// `workers` as configured: 0 is one for each CPU.
    pub configured_workers: u32,
    /// How long backups are kept.
    pub retention: Retention,
    /// The timeout of blocking operations, such as waiting for the WAL that a backup needs.
    pub blocking_timeout: Span,
    /// The timeout of a log-in, to a server or of a client.
    pub authentication_timeout: Span,
    /// Whether TCP keepalive is on.
    pub keep_alive: bool,
    /// Whether `TCP_NODELAY` is on.
    pub nodelay: bool,
    /// The length of the queue of connections to accept (listen(2)), at least 16.
    pub backlog: u32,
    /// The settings of the log.
    pub log: LogSettings,
    /// The servers, in the order of the file.
    pub servers: Vec<Server>,
    /// One warning for each key that is set and whose feature is not implemented, to be logged at
    /// startup.
    pub not_implemented: Vec<String>,
}

impl Config {
    /// The server with this name.
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

/// A PostgreSQL server to back up. Global settings that it inherits are resolved.
#[derive(Clone, Debug)]
pub struct Server {
    /// The title of its section.
    pub name: ServerName,
    /// The host name, address or socket directory.
    pub host: Host,
    /// The port; also part of the file name of the Unix socket.
    pub port: u16,
    /// The role to log in as; its password is in the users file.
    pub user: String,
    /// The name of the physical replication slot.
    pub wal_slot: String,
    /// Whether to create the slot if it is missing.
    pub create_slot: bool,
    /// The `application_name` of connections, which `synchronous_standby_names` may list.
    pub application_name: String,
    /// The number of threads for the operations of this server; at least 1.
    pub workers: usize,
    /// `workers` as configured, for the server or globally: 0 is one for each CPU.
    pub configured_workers: u32,
    /// The maximum rate of a base backup, in bytes per second; `None` for no limit.
    pub max_rate: Option<ByteSize>,
    /// Whether the checkpoint of a backup is fast or spread.
    pub checkpoint: Checkpoint,
    /// How long backups of it are kept.
    pub retention: Retention,
    /// How long the WAL receiver waits for a message of the server before it reconnects.
    pub wal_receiver_timeout: Span,
    /// Whether connections are encrypted and the certificate is verified.
    pub tls: TlsMode,
    /// The `tls_*_file` of the server.
    pub tls_files: TlsFiles,
    /// The authentication methods that are allowed besides SCRAM-SHA-256.
    pub auth: AuthMethods,
}

/// The address on which a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A host name or an IP address.
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
    /// As fast as possible (`CHECKPOINT 'fast'`).
    #[default]
    Fast,
    /// Spread over time (`checkpoint_completion_target`).
    Spread,
}

/// The TLS mode of a connection to PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Not encrypted.
    #[default]
    Off,
    /// Encrypted, without verifying the certificate of the server.
    On,
    /// Encrypted; the certificate must be signed by a known authority and name the host.
    Verify,
}

/// The files for TLS connections to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The client certificate, PEM.
    pub certificate: Option<PathBuf>,
    /// The private key of the client certificate, PEM.
    pub key: Option<PathBuf>,
    /// The trusted certificate authorities, PEM.
    pub authority: Option<PathBuf>,
}

/// The authentication methods that are allowed besides SCRAM-SHA-256, the only one that proves that
/// the server knows the password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthMethods {
    /// The MD5 challenge-response method.
    pub md5: bool,
    /// The password in clear text.
    pub password: bool,
    /// No authentication request, as with `trust`, `peer` and `ident`, which a client cannot tell
    /// apart.
    pub trust: bool,
    /// No authentication request over TLS, where a client certificate is presented.
    pub cert: bool,
}

/// How many days, weeks, months and years backups are kept; `None` where unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// All backups of this many days.
    pub days: Option<u32>,
    /// One backup a week for this many weeks.
    pub weeks: Option<u32>,
    /// One backup a month for this many months.
    pub months: Option<u32>,
    /// One backup a year for this many years.
    pub years: Option<u32>,
}
