//! TLS over a connected stream, as client: TLS 1.2 and later.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::{Deadline, Stream};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::without_bom;

/// Which certificates of the server are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any certificate: the connection is encrypted, but the server is not authenticated.
    Anyone,
    /// A certificate for the host that is signed by an authority of this PEM file, or without a
    /// file by one of the system.
    Authorities(Option<PathBuf>),
}

/// The options of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Which certificates of the server are accepted.
    pub trust: Trust,
    /// The PEM files of the client certificate chain and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The files of trusted certificate authorities of Debian, Fedora, FreeBSD, OpenBSD (and Alpine).
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/etc/ssl/cert.pem",
];

impl Stream {
    /// Starts TLS on the stream and completes the handshake. `host` is the name that the
    /// certificate of the server must contain.
    pub fn start_tls(
        &mut self,
        host: &str,
        options: &TlsOptions,
        deadline: Deadline,
    ) -> Result<()> {
        let action = format!("TLS connection to {}", self.peer);
        let config = client_config(options).map_err(|failure| failure.context(&action))?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| config_error(format!("{host:?} cannot be the name in a certificate")))?;
        let connection = ClientConnection::new(Arc::new(config), name)
            .map_err(|error| handshake_error(&error).context(&action))?;
        self.tls = Some(Box::new(connection));
        self.handshake(deadline)
            .map_err(|failure| failure.context(&action))
    }

    /// The certificate of the server, DER; `None` without TLS.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let certificates = self.tls.as_ref()?.peer_certificates()?;
        certificates.first().map(AsRef::as_ref)
    }

    fn handshake(&mut self, deadline: Deadline) -> Result<()> {
        loop {
            // Sends what is queued first: the next message of the handshake, or the alert that ends
            // it.
            self.write_all(&[], deadline)?;
            let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_handshaking()) else {
                return Ok(());
            };
            match tls.read_tls(&mut self.socket) {
                Ok(0) => {
                    return Err(Error::new(
                        ErrorKind::Network,
                        "the server closed the connection during the handshake",
                    ));
                }
                Ok(_) => {
                    if let Err(error) = tls.process_new_packets() {
                        // Sends the alert; the connection is closed whether or not that succeeds.
                        let _ = tls.write_tls(&mut self.socket);
                        return Err(handshake_error(&error));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let wait = self
                        .stop
                        .wait_readable(self.socket.as_fd(), deadline.left());
                    if !wait? {
                        let message = "the handshake did not end before the deadline";
                        return Err(Error::new(ErrorKind::Timeout, message));
                    }
                }
                Err(error) => return Err(super::stream::network_error(&error)),
            }
        }
    }
}

fn config_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

/// The error, with a hint, for a handshake that the client or the server rejected.
fn handshake_error(error: &rustls::Error) -> Error {
    use rustls::CertificateError;
    let failure = Error::new(ErrorKind::Authentication, error.to_string());
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => failure.with_hint(
            "tls_ca_file must contain the authority that signed the server's certificate",
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => failure.with_hint(
            "the server's certificate must list the configured host as a subject alternative name",
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => failure.with_hint("renew the server's certificate, or check the clocks"),
        rustls::Error::AlertReceived(_) => failure
            .with_hint("the server rejected the client: check tls_cert_file and tls_key_file"),
        _ => failure,
    }
}

fn client_config(options: &TlsOptions) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    let verifier: Arc<dyn ServerCertVerifier> = match &options.trust {
        Trust::Anyone => Arc::new(AcceptAnyone(provider)),
        Trust::Authorities(file) => {
            let roots = Arc::new(authorities(file.as_deref())?);
            WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| config_error(error.to_string()))?
        }
    };
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((certificate, key)) = &options.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    let private = private_key(key)?;
    builder
        .with_client_auth_cert(chain, private)
        .map_err(|error| {
            let (certificate, key) = (certificate.display(), key.display());
            config_error(format!(
                "use certificate {certificate} with key {key}: {error}"
            ))
        })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let invalid = |what: String| config_error(format!("read the key {}: {what}", path.display()));
    let text = std::fs::read(path).map_err(|error| invalid(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(without_bom(&text)).map_err(|error| {
        invalid(error.to_string())
            .with_hint("tls_key_file must contain an unencrypted private key in PEM format")
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let invalid =
        |what: String| config_error(format!("read certificates from {}: {what}", path.display()));
    let text = std::fs::read(path).map_err(|error| invalid(error.to_string()))?;
    let found = CertificateDer::pem_slice_iter(without_bom(&text))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| invalid(error.to_string()))?;
    if found.is_empty() {
        return Err(invalid("it contains none".to_owned()));
    }
    Ok(found)
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore> {
    let system = SYSTEM_BUNDLES.iter().map(Path::new);
    let path = match file {
        Some(file) => file,
        None => system.clone().find(|path| path.exists()).ok_or_else(|| {
            config_error("this system has no list of certificate authorities")
                .with_hint("set tls_ca_file to the authority of the server's certificate")
        })?,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        let path = path.display();
        return Err(config_error(format!(
            "{path} contains no certificate of an authority"
        )));
    }
    Ok(roots)
}

/// Accepts every certificate, but verifies that the server has its key, which channel binding
/// (SCRAM-SHA-256-PLUS) depends on.
#[derive(Debug)]
struct AcceptAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
