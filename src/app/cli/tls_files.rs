//! The certificates of the client in `~/.pgmoneta`.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::net::{FileKeys, TlsOptions, Trust};
use crate::storage::{Access, check_access};
use crate::vault;

/// The files in hints.
const FILES: FileKeys = FileKeys {
    certificate: "~/.pgmoneta/pgmoneta.crt",
    key: "~/.pgmoneta/pgmoneta.key",
    authority: "~/.pgmoneta/root.crt",
};

/// The options of an encrypted connection, if it is wanted, or if there is an authority or a key.
pub(super) fn tls_options(wanted: bool) -> Result<Option<TlsOptions>> {
    let key = vault::master_key_path()?;
    options_in(key.parent().unwrap_or(Path::new("/")), wanted)
}

fn options_in(directory: &Path, wanted: bool) -> Result<Option<TlsOptions>> {
    let existing = |name: &str, access: Access| -> Result<Option<PathBuf>> {
        let path = directory.join(name);
        match path.symlink_metadata() {
            Ok(_) => check_access(&path, access).map(|()| Some(path)),
            Err(_) => Ok(None),
        }
    };
    let authority = existing("root.crt", Access::Public)?;
    let certificate = existing("pgmoneta.crt", Access::Public)?;
    let key = existing("pgmoneta.key", Access::Private)?;
    if !wanted && authority.is_none() && key.is_none() {
        return Ok(None);
    }
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (certificate, _) => {
            let (there, missing) = match certificate {
                Some(_) => (FILES.certificate, FILES.key),
                None => (FILES.key, FILES.certificate),
            };
            let message = format!("there is {there}, and {missing} is missing");
            return Err(Error::new(ErrorKind::Configuration, message));
        }
    };
    Ok(Some(TlsOptions {
        trust: Trust::Authorities(authority),
        identity,
        keys: FILES,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_the_default_where_there_is_an_authority_or_a_key() {
        let directory = std::env::temp_dir().join(format!("pgmoneta-cli-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let write = |name: &str, mode| {
            let path = directory.join(name);
            std::fs::write(&path, "x").unwrap();
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
        };
        let find = |wanted| options_in(&directory, wanted);
        assert_eq!(find(false).unwrap(), None);
        let system = find(true).unwrap().unwrap();
        assert_eq!(
            (system.trust, system.identity),
            (Trust::Authorities(None), None)
        );
        write("root.crt", 0o644);
        let root = directory.join("root.crt");
        let trusted = find(false).unwrap().unwrap();
        assert_eq!(trusted.trust, Trust::Authorities(Some(root)));
        write("pgmoneta.key", 0o640);
        assert!(find(false).is_err(), "others may read the key");
        write("pgmoneta.key", 0o600);
        assert!(
            find(false)
                .unwrap_err()
                .message()
                .contains("pgmoneta.crt is missing")
        );
        write("pgmoneta.crt", 0o644);
        assert!(find(false).unwrap().unwrap().identity.is_some());
        std::fs::remove_file(directory.join("root.crt")).unwrap();
        assert!(find(false).unwrap().is_some());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
