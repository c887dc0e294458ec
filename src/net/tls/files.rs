//! Certificates and keys in PEM files.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, ErrorKind, Result};
use crate::unit::without_bom;

/// What the files of a TLS connection are called in hints: the keys of the configuration, or the
/// names of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileKeys {
    /// The file of the own certificate chain.
    pub certificate: &'static str,
    /// The file of its key.
    pub key: &'static str,
    /// The file of the trusted certificate authorities.
    pub authority: &'static str,
}

impl FileKeys {
    /// The keys `tls_cert_file`, `tls_key_file` and `tls_ca_file`.
    pub const TLS: FileKeys = FileKeys {
        certificate: "tls_cert_file",
        key: "tls_key_file",
        authority: "tls_ca_file",
    };
}

/// The private key in a file.
pub(super) fn private_key(path: &Path, keys: FileKeys) -> Result<PrivateKeyDer<'static>> {
    let invalid = |what: String| config_error(format!("read the key {}: {what}", path.display()));
    let text = std::fs::read(path).map_err(|error| invalid(error.to_string()))?;
    PrivateKeyDer::from_pem_slice(without_bom(&text)).map_err(|error| {
        invalid(error.to_string()).with_hint(format!(
            "{} must contain an unencrypted private key in PEM format",
            keys.key
        ))
    })
}

/// The certificates in a file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
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

/// The certificate authorities in a file, at least one.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore> {
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

/// An [`ErrorKind::Configuration`] error.
pub(super) fn config_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}
