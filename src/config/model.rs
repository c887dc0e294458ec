//! The types of the checked configuration.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread::available_parallelism;

use super::problem::invalid;
use super::reserve::Reserve;
use crate::codec::{Compression, Level};
use crate::error::Error;
use crate::logging::LogSettings;
use crate::unit::{ByteSize, Encryption, Keyword, Names, ServerName, Span};

/// The values of keys that are checked, but that no feature uses yet, as text.
pub type UnusedValues = BTreeMap<&'static str, String>;

/// The checked configuration of the daemon.
#[derive(Clone, Debug, Default)]
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
    /// How often retention runs, seconds; at least 1.
    pub retention_interval: u32,
    /// How often all backups and the archived WAL are verified; 0 is never.
    pub verification: Span,
    /// How many bytes per second that reads; 0 is no limit.
    pub verification_rate: ByteSize,
    /// How much of the file system backups leave free for WAL.
    pub reserve_space: Reserve,
    /// Remote management.
    pub management: Management,
    /// The port of the metrics service; 0 is off.
    pub metrics: u16,
    /// The port of the Nagios service; 0 is off.
    pub nagios: u16,
    /// How long an answer of the metrics service is used again; 0 is off.
    pub metrics_cache_max_age: Span,
    /// How large such an answer is at most; 0 is no limit.
    pub metrics_cache_max_size: ByteSize,
    /// The `metrics_*_file`: with a certificate the metrics service uses TLS.
    pub metrics_tls: TlsFiles,
    /// The settings of the log.
    pub log: LogSettings,
    /// The values of `[pgmoneta]` that servers inherit.
    pub server_defaults: Server,
    /// The servers, in the order of the file.
    pub servers: Vec<Server>,
    /// The values of other keys of `[pgmoneta]`.
    pub unused: UnusedValues,
    /// One warning for each key that is set and whose feature is not implemented, to be logged at
    /// startup.
    pub not_implemented: Vec<String>,
}

/// Remote management, over TCP.
#[derive(Clone, Debug, Default)]
pub struct Management {
    /// The port; 0 is off.
    pub port: u16,
    /// Whether connections must be encrypted.
    pub tls: bool,
    /// Its certificate and key, and the authorities of its clients.
    pub tls_files: TlsFiles,
}

/// The file name of the management socket.
const SOCKET_NAME: &str = ".s.pgmoneta";

impl Config {
    /// The server with this name.
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.servers
            .iter()
            .find(|server| server.name.as_str() == name)
    }

    /// The path of the management socket.
    pub fn socket_path(&self) -> PathBuf {
        self.unix_socket_dir.join(SOCKET_NAME)
    }
}

/// A PostgreSQL server to back up. Global settings that it inherits are resolved.
#[derive(Clone, Debug, Default)]
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
    /// The number of threads as configured; 0 is one for each CPU.
    pub workers: u32,
    /// The maximum rate of a base backup, in bytes per second; `None` for no limit.
    pub max_rate: Option<ByteSize>,
    /// Whether the checkpoint of a backup is fast or spread.
    pub checkpoint: Checkpoint,
    /// How unchanged files of a backup are linked to those of an older one.
    pub link: LinkMode,
    /// How long backups of it are kept.
    pub retention: Retention,
    /// How many valid backups are always kept.
    pub retention_minimum: u32,
    /// For how many days any point in time can be recovered; 0 is as long as the oldest backup is
    /// kept.
    pub wal_retention: u32,
    /// How long the WAL receiver waits for a message of the server before it reconnects.
    pub wal_receiver_timeout: Span,
    /// Whether connections are encrypted and the certificate is verified.
    pub tls: TlsMode,
    /// The `tls_*_file` of the server.
    pub tls_files: TlsFiles,
    /// The authentication methods that are allowed besides SCRAM-SHA-256.
    pub auth: AuthMethods,
    /// The values of other keys of its section, and of `[pgmoneta]` that it inherits.
    pub unused: UnusedValues,
}

impl Server {
    /// The number of threads for its operations; at least 1.
    pub fn threads(&self) -> usize {
        match usize::try_from(self.workers) {
            Ok(0) | Err(_) => available_parallelism().map_or(1, usize::from),
            Ok(number) => number,
        }
    }
}

/// The address on which a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A host name or an IP address.
    Tcp(String),
    /// The directory of its Unix socket.
    Unix(PathBuf),
}

impl Default for Host {
    fn default() -> Host {
        Host::Tcp(String::new())
    }
}

impl FromStr for Host {
    type Err = Error;

    fn from_str(text: &str) -> Result<Host, Error> {
        if text.starts_with('/') {
            return Ok(Host::Unix(PathBuf::from(text)));
        }
        // As in URLs; the brackets are not part of the address.
        let inside = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let name = inside.filter(|text| is_ipv6(text)).unwrap_or(text);
        if is_host_name(name) || is_ipv6(name) {
            return Ok(Host::Tcp(name.to_owned()));
        }
        let problem = invalid(format!("{name:?} is neither a host name nor an address"));
        Err(if name.contains(',') {
            problem.with_hint("a server has one host: add a section for each other host")
        } else if name.contains(':') {
            problem.with_hint("host takes no port and no scheme: set the port with port =")
        } else {
            problem
        })
    }
}

/// The maximum length of a host name in bytes (RFC 1035, section 2.3.4).
const MAX_HOST_NAME: usize = 253;

/// Whether a text may be a host name: letters, digits, `-`, `_` and dots.
fn is_host_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.len() <= MAX_HOST_NAME && name.chars().all(fits) && !name.starts_with(['-', '.'])
}

/// Whether a text is an IPv6 address, with or without a zone (`fe80::1%eth0`).
fn is_ipv6(text: &str) -> bool {
    let address = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address,
        Some(_) => return false,
        None => text,
    };
    address.parse::<Ipv6Addr>().is_ok()
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

impl Keyword for Checkpoint {
    const ALL: &'static [Checkpoint] = &[Checkpoint::Fast, Checkpoint::Spread];

    fn names(self) -> Names {
        match self {
            Checkpoint::Fast => ("fast", &[]),
            Checkpoint::Spread => ("spread", &[]),
        }
    }
}

/// How a file of a backup that is the same in an older one is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkMode {
    /// As a hard link.
    #[default]
    Hard,
    /// As a relative symbolic link.
    Symbolic,
    /// Again.
    Off,
}

impl Keyword for LinkMode {
    const ALL: &'static [LinkMode] = &[LinkMode::Hard, LinkMode::Symbolic, LinkMode::Off];

    fn names(self) -> Names {
        match self {
            LinkMode::Hard => ("hard", &["on", "true", "yes", "1"]),
            LinkMode::Symbolic => ("symbolic", &[]),
            LinkMode::Off => ("off", &["false", "no", "0"]),
        }
    }
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

impl Keyword for TlsMode {
    const ALL: &'static [TlsMode] = &[TlsMode::Off, TlsMode::On, TlsMode::Verify];

    fn names(self) -> Names {
        match self {
            TlsMode::Off => ("off", &["false", "no", "0"]),
            TlsMode::On => ("on", &["true", "yes", "1"]),
            TlsMode::Verify => ("verify", &[]),
        }
    }
}

/// The files for TLS connections to a server, or of a TCP port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The own certificate, PEM.
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM.
    pub key: Option<PathBuf>,
    /// The certificate authorities of the other side, PEM.
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
    /// As `trust`, over a Unix socket only.
    pub peer: bool,
    /// No authentication request over TLS, where a client certificate is presented.
    pub cert: bool,
}

/// A method by which a server authenticates pgmoneta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthMethod {
    ScramSha256,
    Md5,
    Password,
    Trust,
    Peer,
    Cert,
}

impl Keyword for AuthMethod {
    const ALL: &'static [AuthMethod] = &[
        AuthMethod::ScramSha256,
        AuthMethod::Md5,
        AuthMethod::Password,
        AuthMethod::Trust,
        AuthMethod::Peer,
        AuthMethod::Cert,
    ];

    fn names(self) -> Names {
        match self {
            AuthMethod::ScramSha256 => ("scram-sha-256", &[]),
            AuthMethod::Md5 => ("md5", &[]),
            AuthMethod::Password => ("password", &[]),
            AuthMethod::Trust => ("trust", &[]),
            AuthMethod::Peer => ("peer", &[]),
            AuthMethod::Cert => ("cert", &[]),
        }
    }
}

impl AuthMethods {
    /// These methods and SCRAM-SHA-256.
    pub(super) fn of(methods: &[AuthMethod]) -> AuthMethods {
        let has = |method| methods.contains(&method);
        AuthMethods {
            md5: has(AuthMethod::Md5),
            password: has(AuthMethod::Password),
            trust: has(AuthMethod::Trust),
            peer: has(AuthMethod::Peer),
            cert: has(AuthMethod::Cert),
        }
    }

    /// Whether a method is allowed.
    pub(super) fn allows(self, method: AuthMethod) -> bool {
        match method {
            AuthMethod::ScramSha256 => true,
            AuthMethod::Md5 => self.md5,
            AuthMethod::Password => self.password,
            AuthMethod::Trust => self.trust,
            AuthMethod::Peer => self.peer,
            AuthMethod::Cert => self.cert,
        }
    }
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

/// The output format of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// Tables for people.
    #[default]
    Text,
    /// JSON in which sizes, times and codes are translated to text.
    Json,
    /// JSON as the daemon sent it.
    Raw,
}

impl Keyword for OutputFormat {
    const ALL: &'static [OutputFormat] =
        &[OutputFormat::Text, OutputFormat::Json, OutputFormat::Raw];

    fn names(self) -> Names {
        match self {
            OutputFormat::Text => ("text", &[]),
            OutputFormat::Json => ("json", &[]),
            OutputFormat::Raw => ("raw", &[]),
        }
    }
}

/// The configuration of the client.
#[derive(Clone, Debug, Default)]
pub struct ClientConfig {
    /// The absolute path of the file.
    pub path: PathBuf,
    /// The host of the daemon, for remote management; empty for none.
    pub host: String,
    /// The port of remote management; 0 for none.
    pub port: u16,
    /// The directory of the management socket.
    pub unix_socket_dir: Option<PathBuf>,
    /// How messages are compressed.
    pub compression: Compression,
    /// How messages are encrypted.
    pub encryption: Encryption,
    /// The output format where no option of the command line names one.
    pub output: OutputFormat,
    /// The settings of the log.
    pub log: LogSettings,
    /// Warnings about the file, to be logged.
    pub warnings: Vec<String>,
}
