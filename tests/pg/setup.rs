//! Logins for the clusters of the tests.

use std::sync::Arc;

use pgmoneta::config::{AuthMethods, Host, TlsFiles, TlsMode};
use pgmoneta::crypto::Secret;
use pgmoneta::error::{Error, Result};
use pgmoneta::pg::{Connection, Login, Mode};
use pgmoneta::sys::Stop;

use crate::harness::{Cluster, REPLICATION_PASSWORD, REPLICATION_USER, test_timeout};

/// The login of a role with REPLICATION only, over TCP with its password.
pub fn login(cluster: &Cluster) -> Login {
    Login {
        host: Host::Tcp("127.0.0.1".to_owned()),
        port: cluster.port(),
        user: REPLICATION_USER.to_owned(),
        password: Some(secret(REPLICATION_PASSWORD)),
        application_name: "pgmoneta".to_owned(),
        tls: TlsMode::Off,
        tls_files: TlsFiles::default(),
        auth: AuthMethods::default(),
        keep_alive: true,
        nodelay: true,
        login_timeout: test_timeout(30),
        read_timeout: test_timeout(60),
    }
}

pub fn secret(text: &str) -> Arc<Secret> {
    Arc::new(Secret::new(text.as_bytes().to_vec()))
}

pub fn open(login: &Login, mode: Mode) -> Result<Connection> {
    Connection::open(login, mode, &Stop::new().unwrap())
}

pub fn refused(login: &Login, mode: Mode) -> Error {
    match open(login, mode) {
        Ok(_) => panic!("the server accepts the login"),
        Err(failure) => failure,
    }
}

/// Whether the hint of an error contains these words.
pub fn hint_contains(failure: &Error, words: &str) -> bool {
    failure.hint().is_some_and(|hint| hint.contains(words))
}
