//! TLS as client.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use super::files::{FileKeys, authorities, certificates, config_error, private_key};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, Stream};

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
    /// What the files are called in hints.
    pub keys: FileKeys,
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
        let explain = |error: &rustls::Error| handshake_error(error, options.keys);
        let connection = ClientConnection::new(Arc::new(config), name)
            .map_err(|error| explain(&error).context(&action))?;
        self.tls = Some(Box::new(connection.into()));
        self.handshake(deadline, explain)
            .map_err(|failure| failure.context(&action))
    }

    /// The certificate of the peer, DER; `None` without TLS, and for a client that presented none.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        let certificates = self.tls.as_ref()?.peer_certificates()?;
        certificates.first().map(AsRef::as_ref)
    }
}

/// The error, with a hint, for a handshake that the client or the server rejected.
fn handshake_error(error: &rustls::Error, keys: FileKeys) -> Error {
    use rustls::CertificateError;
    let failure = Error::new(ErrorKind::Authentication, error.to_string());
    match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => failure.with_hint(format!(
            "{} must contain the authority that signed the server's certificate",
            keys.authority
        )),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => failure.with_hint(
            "the server's certificate must list the configured host as a subject alternative name",
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => failure.with_hint("renew the server's certificate, or check the clocks"),
        rustls::Error::AlertReceived(_) => failure.with_hint(format!(
            "the server rejected the client: check {} and {}",
            keys.certificate, keys.key
        )),
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
            let roots = match file {
                Some(file) => authorities(file)?,
                None => authorities(system_bundle(options.keys)?)?,
            };
            let roots = Arc::new(roots);
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
    let private = private_key(key, options.keys)?;
    builder
        .with_client_auth_cert(chain, private)
        .map_err(|error| {
            let (certificate, key) = (certificate.display(), key.display());
            config_error(format!(
                "use certificate {certificate} with key {key}: {error}"
            ))
        })
}

/// The list of certificate authorities of this system.
fn system_bundle(keys: FileKeys) -> Result<&'static Path> {
    let mut bundles = SYSTEM_BUNDLES.iter().map(Path::new);
    bundles.find(|path| path.exists()).ok_or_else(|| {
        let hint = format!(
            "set {} to the authority of the server's certificate",
            keys.authority
        );
        config_error("this system has no list of certificate authorities").with_hint(hint)
    })
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
