//! The parameters of a login to a server.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{AuthMethods, Config, Host, Server, TlsFiles, TlsMode};
use crate::crypto::Secret;

/// The parameters of a login to a server.
#[derive(Clone)]
pub struct Login {
    /// Host name, IP address or socket directory (`host`).
    pub host: Host,
    /// TCP port, also part of the name of the Unix socket (`port`).
    pub port: u16,
    /// The role (`user`).
    pub user: String,
    /// From the users file; `None` works where the server asks for no password.
    pub password: Option<Arc<Secret>>,
    /// `application_name`, shown in `pg_stat_activity`.
    pub application_name: String,
    /// Whether to use TLS, and whether to verify the server (`tls`).
    pub tls: TlsMode,
    /// Paths of certificate, key and CA (`tls_cert_file`, `tls_key_file`, `tls_ca_file`).
    pub tls_files: TlsFiles,
    /// The authentication methods permitted besides SCRAM (`auth`).
    pub auth: AuthMethods,
    /// Whether to set SO_KEEPALIVE (`keep_alive`).
    pub keep_alive: bool,
    /// Whether to set TCP_NODELAY (`nodelay`).
    pub nodelay: bool,
    /// The limit for connection and login together (`authentication_timeout`).
    pub login_timeout: Duration,
    /// The limit for an answer that needs no work of the server.
    pub read_timeout: Duration,
}

/// Generous: a busy server may delay even an answer that needs no work.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

impl Login {
    /// The login for a server of the configuration.
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

/// The kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// SQL in the database `postgres`, or in `template1` if that is missing or the role may not
    /// connect to it.
    Sql,
    /// Physical replication (`replication=true`).
    Replication,
}
