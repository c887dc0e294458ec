//! Log-ins for the clusters of the tests.

use std::sync::Arc;

use pgmoneta::config::{AuthMethods, Host, TlsFiles, TlsMode};
use pgmoneta::crypto::Secret;
use pgmoneta::error::{Failure, Result};
use pgmoneta::pg::{Connection, Login, Mode};
use pgmoneta::sys::Stop;

use crate::harness::{Cluster, REPLICATION_PASSWORD, REPLICATION_USER, patience};

/// The log-in of the role that may replicate and nothing else, over TCP with its password.
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
        login_timeout: patience(30),
        read_timeout: patience(60),
    }
}

pub fn secret(text: &str) -> Arc<Secret> {
    Arc::new(Secret::new(text.as_bytes().to_vec()))
}

pub fn open(login: &Login, mode: Mode) -> Result<Connection> {
    Connection::open(login, mode, &Stop::new().unwrap())
}

pub fn refused(login: &Login, mode: Mode) -> Failure {
    match open(login, mode) {
        Ok(_) => panic!("the server lets us in"),
        Err(failure) => failure,
    }
}

/// Whether the hint of a failure has these words in it.
pub fn advises(failure: &Failure, words: &str) -> bool {
    failure.advice().is_some_and(|hint| hint.contains(words))
}
