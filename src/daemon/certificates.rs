//! The certificate and the key of a TCP port.

use crate::config::TlsFiles;
use crate::error::{Error, ErrorKind, Result};
use crate::net::{FileKeys, ServerTls, ServerTlsFiles};
use crate::storage::{Access, check_access};

/// Reads the files of a TLS server; their owners and modes must be right.
pub(super) fn load(files: &TlsFiles, keys: FileKeys) -> Result<ServerTls> {
    ServerTls::load(&checked(files, keys)?)
}

/// Reads the files again, for new connections. After an error the old ones stay in use.
pub(super) fn reload(tls: &ServerTls, files: &TlsFiles, keys: FileKeys) -> Result<()> {
    tls.reload(&checked(files, keys)?)
}

/// Everyone may read the certificates, but only the daemon's user or root may change them; only the
/// daemon's user, or root and a group, may read the key.
fn checked(files: &TlsFiles, keys: FileKeys) -> Result<ServerTlsFiles> {
    let missing = |key: &str| Error::new(ErrorKind::Configuration, format!("{key} is not set"));
    let files = ServerTlsFiles {
        certificate: files
            .certificate
            .clone()
            .ok_or_else(|| missing(keys.certificate))?,
        key: files.key.clone().ok_or_else(|| missing(keys.key))?,
        authority: files.authority.clone(),
        keys,
    };
    let rows = [
        (keys.certificate, Some(&files.certificate), Access::Public),
        (keys.key, Some(&files.key), Access::SharedWithGroup),
        (keys.authority, files.authority.as_ref(), Access::Public),
    ];
    for (key, path, access) in rows {
        let Some(path) = path else { continue };
        check_access(path, access).map_err(|failure| failure.context(key))?;
    }
    Ok(files)
}
