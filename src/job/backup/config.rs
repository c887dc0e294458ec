//! The configuration files that a server has outside of its data directory, so that no base backup has them.

use std::path::{Component, Path};

use super::staging::{FileHead, Staging};
use super::wal::store;
use crate::error::{Failure, Kind, Result};
use crate::format::ConfigFile;
use crate::pg::{ConfigFiles, Connection};
use crate::storage;

/// Where they are stored: below it each has its path on the server.
const PLACE: &str = "config";

/// What lets a role see where the files are, and read them.
const GRANTS: &str = "roles pg_read_all_settings and pg_read_server_files, and EXECUTE on \
     pg_read_binary_file(text, bigint, bigint, boolean)";

/// Stores the configuration files that are not among what was received. What could not be stored, in words: a backup
/// without them is one.
pub(super) fn keep(connection: Result<Connection>, staging: &mut Staging) -> Result<Vec<String>> {
    let asked = connection.and_then(|mut connection| {
        let files = ConfigFiles::read(&mut connection)?;
        Ok((connection, files))
    });
    match asked {
        Ok((mut connection, files)) => Keeper {
            connection: &mut connection,
            staging,
        }
        .keep(&files),
        Err(failure) if failure.kind() == Kind::Stopped => Err(failure),
        Err(failure) => Ok(lacking(staging, &failure.to_string())),
    }
}

struct Keeper<'a> {
    connection: &'a mut Connection,
    staging: &'a mut Staging,
}

impl Keeper<'_> {
    fn keep(&mut self, files: &ConfigFiles) -> Result<Vec<String>> {
        let Some(data) = &files.data_directory else {
            let why = format!("the role may not see where the server has it; it needs: {GRANTS}");
            return Ok(lacking(self.staging, &why));
        };
        let mut notes = Vec::new();
        for (what, path) in &files.files {
            let received = path
                .strip_prefix(data)
                .is_ok_and(|path| self.staging.received_size(path).is_some());
            if received {
                continue;
            }
            let kept = if files.readable {
                self.file(*what, path)
            } else {
                let why = format!("the role may not read it; it needs: {GRANTS}");
                Err(Failure::new(Kind::Permission, why))
            };
            match kept {
                Ok(()) => {}
                // Those are failures of the backup, not of the server's answer.
                Err(failure) if is_own(failure.kind()) => return Err(failure),
                Err(failure) => notes.push(note(&path.to_string_lossy(), failure.message())),
            }
        }
        Ok(notes)
    }

    fn file(&mut self, what: ConfigFile, path: &Path) -> Result<()> {
        let relative = below_root(path)
            .ok_or_else(|| Failure::new(Kind::Server, "its path is not a plain absolute one"))?;
        let content = self.connection.read_config_file(path)?;
        let content =
            content.ok_or_else(|| Failure::new(Kind::Server, "it is not there any more"))?;
        let coding = self.staging.coding().clone();
        let mut stored = Path::new(PLACE).join(relative).into_os_string();
        stored.push(coding.stored().suffix());
        let head = FileHead {
            path: relative.to_owned(),
            stored_path: stored.into(),
            size: u64::try_from(content.len()).unwrap_or(u64::MAX),
            modified: jiff::Timestamp::now().as_second(),
            mode: 0o600,
        };
        if let Some(directory) = self.staging.path().join(&head.stored_path).parent() {
            storage::create_directories(directory)?;
        }
        let (entry, digest) = store(self.staging, head, &mut content.as_slice(), &coding)?;
        self.staging.end_config(what, entry, &digest)
    }
}

/// Whether a failure is about us: our disk, our stop, our connection.
fn is_own(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Stopped | Kind::Io | Kind::NoSpace | Kind::Internal
    )
}

/// The files that a server does not start without and that were not received.
fn lacking(staging: &Staging, why: &str) -> Vec<String> {
    let names = [ConfigFile::Main, ConfigFile::Hba].map(ConfigFile::usual_name);
    let names = names.into_iter().flatten();
    let missing = names.filter(|name| staging.received_size(Path::new(name)).is_none());
    missing.map(|name| note(name, why)).collect()
}

fn note(name: &str, why: &str) -> String {
    format!("{name} is not in the data directory, and the backup has no copy of it: {why}")
}

/// The path without its slash at the beginning, if it is absolute and goes down only.
fn below_root(path: &Path) -> Option<&Path> {
    let path = path.strip_prefix("/").ok()?;
    let plain = |component| matches!(component, Component::Normal(_));
    (path.components().all(plain) && path.file_name().is_some()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_are_stored() {
        let below = |path| below_root(Path::new(path)).map(Path::to_owned);
        assert_eq!(below("/etc/pg/x.conf"), Some("etc/pg/x.conf".into()));
        for path in ["", "/", "etc/x", "/etc/../../x", "../x"] {
            assert_eq!(below(path), None, "{path}");
        }
    }
}
