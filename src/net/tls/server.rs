//! TLS as server.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection};

use super::files::{FileKeys, authorities, certificates, config_error, private_key};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, Stream};

/// The files of a TLS server. Their owners and modes are for the caller to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTlsFiles {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// The private key of the first certificate, PEM.
    pub key: PathBuf,
    /// The certificate authorities of clients, PEM. With them every client must present a
    /// certificate; without, none is asked for.
    pub authority: Option<PathBuf>,
    /// What the files are called in hints.
    pub keys: FileKeys,
}

/// The certificate and the key of a TLS server, shared by its connections. There is no resumption
/// of sessions: each connection proves its identity itself.
pub struct ServerTls(RwLock<Arc<ServerConfig>>);

impl ServerTls {
    /// Reads the files.
    pub fn load(files: &ServerTlsFiles) -> Result<ServerTls> {
        Ok(ServerTls(RwLock::new(Arc::new(server_config(files)?))))
    }

    /// Reads the files again, for the connections that begin from now on. After an error the old
    /// certificate and key stay in use.
    pub fn reload(&self, files: &ServerTlsFiles) -> Result<()> {
        let new = Arc::new(server_config(files)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Stream {
    /// Starts TLS on the stream as server, and completes the handshake.
    pub fn accept_tls(&mut self, tls: &ServerTls, deadline: Deadline) -> Result<()> {
        let action = format!("TLS connection of {}", self.peer);
        let connection = ServerConnection::new(tls.current())
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()).context(&action))?;
        self.tls = Some(Box::new(connection.into()));
        let explain =
            |error: &rustls::Error| Error::new(ErrorKind::Authentication, error.to_string());
        self.handshake(deadline, explain)
            .map_err(|failure| failure.context(&action))
    }
}

fn server_config(files: &ServerTlsFiles) -> Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    let builder = match &files.authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            let verifier = verifier.map_err(|error| config_error(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key, files.keys)?;
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| mismatch(files, &error))?;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The error for a certificate that cannot be used with its key.
fn mismatch(files: &ServerTlsFiles, error: &rustls::Error) -> Error {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let keys = files.keys;
    config_error(format!(
        "use certificate {certificate} with key {key}: {error}"
    ))
    .with_hint(format!(
        "{} must contain the key of the first certificate in {}",
        keys.key, keys.certificate
    ))
}
