//! TLS over a connected stream, the client's side: TLS 1.2 and later.

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
use crate::error::{Failure, Kind, Result};
use crate::unit::without_mark;

/// Whose certificate is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Anyone's: the connection is encrypted, but nobody knows to whom.
    Anyone,
    /// One that names the host and that an authority of this PEM file signed; without a file, one of the system's.
    Authorities(Option<PathBuf>),
}

/// How TLS is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Whose certificate is accepted.
    pub trust: Trust,
    /// Our own certificate chain and its key, PEM files.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Where systems keep the authorities that they trust: Debian, Fedora, FreeBSD, OpenBSD (and Alpine).
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/etc/ssl/cert.pem",
];

impl Stream {
    /// Encrypts the stream from here on: the handshake is complete when this returns. `host` is the name that the
    /// peer's certificate has to bear.
    pub fn start_tls(
        &mut self,
        host: &str,
        options: &TlsOptions,
        deadline: Deadline,
    ) -> Result<()> {
        let doing = format!("TLS connection to {}", self.peer);
        let config = client_config(options).map_err(|failure| failure.context(&doing))?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| config_failure(format!("{host:?} cannot be the name in a certificate")))?;
        let connection = ClientConnection::new(Arc::new(config), name)
            .map_err(|error| refused(&error).context(&doing))?;
        self.tls = Some(Box::new(connection));
        self.handshake(deadline)
            .map_err(|failure| failure.context(&doing))
    }

    /// The certificate that the peer showed, DER.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let certificates = self.tls.as_ref()?.peer_certificates()?;
        certificates.first().map(AsRef::as_ref)
    }

    fn handshake(&mut self, deadline: Deadline) -> Result<()> {
        loop {
            // What is queued goes out first: our part of the handshake, or the alert that ends it.
            self.write_all(&[], deadline)?;
            let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_handshaking()) else {
                return Ok(());
            };
            match tls.read_tls(&mut self.socket) {
                Ok(0) => {
                    return Err(Failure::new(
                        Kind::Network,
                        "the server closed the connection during the handshake",
                    ));
                }
                Ok(_) => {
                    if let Err(error) = tls.process_new_packets() {
                        // Tells the peer why; whether it hears is not our concern any more.
                        let _ = tls.write_tls(&mut self.socket);
                        return Err(refused(&error));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let wait = self
                        .stop
                        .wait_readable(self.socket.as_fd(), deadline.left());
                    if !wait? {
                        let late = "the handshake did not end before the deadline";
                        return Err(Failure::new(Kind::Timeout, late));
                    }
                }
                Err(error) => return Err(super::stream::broken(&error)),
            }
        }
    }
}

fn config_failure(message: impl Into<String>) -> Failure {
    Failure::new(Kind::Configuration, message)
}

/// A handshake that one side refused.
fn refused(error: &rustls::Error) -> Failure {
    use rustls::{CertificateError, Error};
    let failure = Failure::new(Kind::Authentication, error.to_string());
    match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            failure.hint("tls_ca_file must hold the authority that signed the server's certificate")
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => failure.hint(
            "the server's certificate must list the configured host as a subject alternative name",
        ),
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => failure.hint("renew the server's certificate, or check the clocks"),
        Error::AlertReceived(_) => {
            failure.hint("the server refused our side: check tls_cert_file and tls_key_file")
        }
        _ => failure,
    }
}

fn client_config(options: &TlsOptions) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(Kind::Internal, error.to_string()))?;
    let verifier: Arc<dyn ServerCertVerifier> = match &options.trust {
        Trust::Anyone => Arc::new(AcceptAnyone(provider)),
        Trust::Authorities(file) => {
            let roots = Arc::new(authorities(file.as_deref())?);
            WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| config_failure(error.to_string()))?
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
            config_failure(format!(
                "use certificate {certificate} with key {key}: {error}"
            ))
        })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let wrong = |what: String| config_failure(format!("read the key {}: {what}", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(without_mark(&text)).map_err(|error| {
        wrong(error.to_string())
            .hint("tls_key_file must hold an unencrypted private key in PEM format")
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong =
        |what: String| config_failure(format!("read certificates from {}: {what}", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found = CertificateDer::pem_slice_iter(without_mark(&text))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("there is none in it".to_owned()));
    }
    Ok(found)
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore> {
    let system = SYSTEM_BUNDLES.iter().map(Path::new);
    let path = match file {
        Some(file) => file,
        None => system.clone().find(|path| path.exists()).ok_or_else(|| {
            config_failure("this system has no list of certificate authorities")
                .hint("name the authority of the server's certificate in tls_ca_file")
        })?,
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(path)?);
    if added == 0 {
        let path = path.display();
        return Err(config_failure(format!(
            "{path} holds no certificate of an authority"
        )));
    }
    Ok(roots)
}

/// Accepts every certificate, but only from a peer that holds its key: otherwise binding the log-in to the
/// certificate would bind it to nothing.
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
