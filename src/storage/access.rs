//! Owner and mode of files and directories that hold secrets.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Context, Error, ErrorKind, Result};

/// The access to a file or directory that others may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A file without any access for others.
    Private,
    /// As [`Access::Private`] if the effective user owns the file; if root owns it, the group may
    /// read it: packages and mounted secrets provide keys to a service that way.
    SharedWithGroup,
    /// A file that everyone may read; the effective user or root must own it.
    Public,
    /// A directory without any access for others.
    PrivateDirectory,
}

/// Checks type, owner and mode of `path`; symbolic links are followed.
pub fn check_access(path: &Path, access: Access) -> Result<()> {
    let metadata = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    let euid = rustix::process::geteuid().as_raw();
    check_attributes(&attributes(&metadata), euid, access).map_err(|error| error.into_error(path))
}

/// The metadata that decides.
#[derive(Clone, Copy)]
struct Attributes {
    file: bool,
    directory: bool,
    owner: u32,
    mode: u32,
}

enum PermissionError {
    NotFile,
    NotDirectory,
    Owner(u32),
    Mode { found: u32, expected: &'static str },
}

fn attributes(metadata: &Metadata) -> Attributes {
    Attributes {
        file: metadata.is_file(),
        directory: metadata.is_dir(),
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
    }
}

fn check_attributes(
    attributes: &Attributes,
    euid: u32,
    access: Access,
) -> std::result::Result<(), PermissionError> {
    let directory = access == Access::PrivateDirectory;
    if directory && !attributes.directory {
        return Err(PermissionError::NotDirectory);
    }
    if !directory && !attributes.file {
        return Err(PermissionError::NotFile);
    }
    if attributes.owner != euid && attributes.owner != 0 {
        return Err(PermissionError::Owner(attributes.owner));
    }
    let (forbidden, expected) = match access {
        Access::Private => (0o077, "0600"),
        Access::SharedWithGroup if attributes.owner == euid => (0o077, "0600"),
        Access::SharedWithGroup => (0o037, "0640"),
        Access::Public => (0, "0644"),
        Access::PrivateDirectory => (0o077, "0700"),
    };
    if attributes.mode & forbidden != 0 {
        return Err(PermissionError::Mode {
            found: attributes.mode,
            expected,
        });
    }
    Ok(())
}

impl PermissionError {
    fn into_error(self, path: &Path) -> Error {
        let path = path.display();
        match self {
            PermissionError::NotFile => Error::new(
                ErrorKind::Permission,
                format!(
                    "{path} is not \
                     a file"
                ),
            ),
            PermissionError::NotDirectory => {
                Error::new(ErrorKind::Permission, format!("{path} is not a directory"))
            }
            PermissionError::Owner(owner) => Error::new(
                ErrorKind::Permission,
                format!(
                    "{path} belongs to user {owner}, neither to the user that runs this \
                     program nor to root"
                ),
            )
            .with_hint(format!(
                "chown it to the user that runs this program: chown $(id -un) {path}"
            )),
            PermissionError::Mode { found, expected } => Error::new(
                ErrorKind::Permission,
                format!("{path} has mode {found:04o}, so that others have access to it"),
            )
            .with_hint(format!("chmod {expected} {path}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_mode_decide() {
        use Access::{Private, PrivateDirectory, Public, SharedWithGroup};
        const US: u32 = 26;
        let rows = [
            (Private, US, 0o600, true),
            (Private, US, 0o400, true),
            (Private, US, 0o640, false),
            (Private, US, 0o604, false),
            (Private, US, 0o601, false),
            (Private, 0, 0o600, true),
            (Private, 0, 0o640, false),
            (Private, 1000, 0o600, false),
            (SharedWithGroup, US, 0o640, false),
            (SharedWithGroup, 0, 0o640, true),
            (SharedWithGroup, 0, 0o660, false),
            (SharedWithGroup, 0, 0o644, false),
            (Public, US, 0o644, true),
            (Public, 0, 0o644, true),
            (Public, 1000, 0o644, false),
            (PrivateDirectory, US, 0o700, true),
            (PrivateDirectory, US, 0o710, false),
        ];
        for (access, owner, mode, fine) in rows {
            let directory = access == PrivateDirectory;
            let attributes = Attributes {
                file: !directory,
                directory,
                owner,
                mode,
            };
            let result = check_attributes(&attributes, US, access);
            assert_eq!(result.is_ok(), fine, "{access:?} {owner} {mode:o}");
        }
    }

    #[test]
    fn the_hint_names_the_command() {
        let path =
            std::env::temp_dir().join(format!("pgmoneta-file-access-{}", std::process::id()));
        std::fs::write(&path, "x").unwrap();
        let mode = |mode| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
            check_access(&path, Access::Private)
        };
        let refused = mode(0o644).unwrap_err();
        let fine = mode(0o600);
        let directory = check_access(&path, Access::PrivateDirectory).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            refused.hint(),
            Some(format!("chmod 0600 {}", path.display()).as_str())
        );
        fine.unwrap();
        assert!(directory.message().ends_with("is not a directory"));
        let gone = check_access(&path, Access::Private).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
}
