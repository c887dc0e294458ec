//! Everything that a log-in needs.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{AuthMethods, Config, Host, Server, TlsFiles, TlsMode};
use crate::crypto::Secret;

/// Everything that a log-in needs.
#[derive(Clone)]
pub struct Login {
    /// Where the server listens.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password; `None` works where the server asks for none.
    pub password: Option<Arc<Secret>>,
    /// The name we give ourselves.
    pub application_name: String,
    /// Whether to encrypt.
    pub tls: TlsMode,
    /// With which files.
    pub tls_files: TlsFiles,
    /// Which exchanges besides SCRAM.
    pub auth: AuthMethods,
    /// SO_KEEPALIVE
    pub keep_alive: bool,
    /// TCP_NODELAY
    pub nodelay: bool,
    /// The deadline for connection and log-in together.
    pub login_timeout: Duration,
    /// The deadline for an answer that is due at once.
    pub read_timeout: Duration,
}

/// How long an answer may take that needs no work of the server: as long as it may be busy otherwise.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

impl Login {
    /// The log-in for a server of the configuration.
    pub fn new(config: &Config, server: &Server, password: Option<Arc<Secret>>) -> Login {
        Login {
            host: server.host.clone(),
            port: server.port,
            user: server.user.clone(),
            password,
            application_name: server.application_name.clone(),
            tls: server.tls,
            tls_files: server.tls_files.clone(),
            auth: server.auth,
            keep_alive: config.keep_alive,
            nodelay: config.nodelay,
            login_timeout: config.authentication_timeout.duration(),
            read_timeout: READ_TIMEOUT,
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// SQL, in database `postgres`, or `template1` where that is missing or closed to the role.
    Sql,
    /// Physical replication.
    Replication,
}
