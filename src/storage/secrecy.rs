//! Who else may read or write a file that holds a secret.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Context, Failure, Kind, Result};

/// What a secret may be to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// A file that nobody else may read or write.
    Private,
    /// A file as [`Secrecy::Private`] if it is ours; if it is root's, the group may read it: that is how packages and
    /// mounted secrets give a key to one service.
    Handed,
    /// A file that everyone may read; it must be ours or root's.
    Public,
    /// A directory that nobody else may enter.
    PrivateDirectory,
}

/// Checks type, owner and mode of `path`; symbolic links are followed.
pub fn check_secrecy(path: &Path, secrecy: Secrecy) -> Result<()> {
    let metadata = std::fs::metadata(path).with_context(|| path.display().to_string())?;
    let ours = rustix::process::geteuid().as_raw();
    verdict(&metadata_facts(&metadata), ours, secrecy).map_err(|wrong| wrong.failure(path))
}

/// The part of the metadata that counts.
#[derive(Clone, Copy)]
struct Facts {
    file: bool,
    directory: bool,
    owner: u32,
    mode: u32,
}

enum Wrong {
    NoFile,
    NoDirectory,
    Owner(u32),
    Mode { is: u32, remedy: &'static str },
}

fn metadata_facts(metadata: &Metadata) -> Facts {
    Facts {
        file: metadata.is_file(),
        directory: metadata.is_dir(),
        owner: metadata.uid(),
        mode: metadata.mode() & 0o7777,
    }
}

fn verdict(facts: &Facts, ours: u32, secrecy: Secrecy) -> std::result::Result<(), Wrong> {
    let directory = secrecy == Secrecy::PrivateDirectory;
    if directory && !facts.directory {
        return Err(Wrong::NoDirectory);
    }
    if !directory && !facts.file {
        return Err(Wrong::NoFile);
    }
    if facts.owner != ours && facts.owner != 0 {
        return Err(Wrong::Owner(facts.owner));
    }
    let (forbidden, remedy) = match secrecy {
        Secrecy::Private => (0o077, "0600"),
        Secrecy::Handed if facts.owner == ours => (0o077, "0600"),
        Secrecy::Handed => (0o037, "0640"),
        Secrecy::Public => (0, "0644"),
        Secrecy::PrivateDirectory => (0o077, "0700"),
    };
    if facts.mode & forbidden != 0 {
        return Err(Wrong::Mode {
            is: facts.mode,
            remedy,
        });
    }
    Ok(())
}

impl Wrong {
    fn failure(self, path: &Path) -> Failure {
        let path = path.display();
        match self {
            Wrong::NoFile => Failure::new(Kind::Permission, format!("{path} is not a file")),
            Wrong::NoDirectory => {
                Failure::new(Kind::Permission, format!("{path} is not a directory"))
            }
            Wrong::Owner(owner) => Failure::new(
                Kind::Permission,
                format!("{path} belongs to user {owner}, neither to us nor to root"),
            )
            .hint(format!(
                "chown it to the user that runs this program: chown $(id -un) {path}"
            )),
            Wrong::Mode { is, remedy } => Failure::new(
                Kind::Permission,
                format!("{path} has mode {is:04o}, so that others have access to it"),
            )
            .hint(format!("chmod {remedy} {path}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_mode_decide() {
        use Secrecy::{Handed, Private, PrivateDirectory, Public};
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
            (Handed, US, 0o640, false),
            (Handed, 0, 0o640, true),
            (Handed, 0, 0o660, false),
            (Handed, 0, 0o644, false),
            (Public, US, 0o644, true),
            (Public, 0, 0o644, true),
            (Public, 1000, 0o644, false),
            (PrivateDirectory, US, 0o700, true),
            (PrivateDirectory, US, 0o710, false),
        ];
        for (secrecy, owner, mode, fine) in rows {
            let directory = secrecy == PrivateDirectory;
            let facts = Facts {
                file: !directory,
                directory,
                owner,
                mode,
            };
            let result = verdict(&facts, US, secrecy);
            assert_eq!(result.is_ok(), fine, "{secrecy:?} {owner} {mode:o}");
        }
    }

    #[test]
    fn the_hint_names_the_command() {
        let path = std::env::temp_dir().join(format!("pgmoneta-secrecy-{}", std::process::id()));
        std::fs::write(&path, "x").unwrap();
        let mode = |mode| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&path, permissions).unwrap();
            check_secrecy(&path, Secrecy::Private)
        };
        let refused = mode(0o644).unwrap_err();
        let fine = mode(0o600);
        let directory = check_secrecy(&path, Secrecy::PrivateDirectory).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            refused.advice(),
            Some(format!("chmod 0600 {}", path.display()).as_str())
        );
        fine.unwrap();
        assert!(directory.message().ends_with("is not a directory"));
        let gone = check_secrecy(&path, Secrecy::Private).unwrap_err();
        assert_eq!(gone.kind(), Kind::NotFound);
    }
}
