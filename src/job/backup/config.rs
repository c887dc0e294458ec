//! The configuration files outside the data directory, which a base backup does not contain.

use std::path::{Component, Path};

use super::staging::{FileHeader, Staging};
use crate::error::{Error, ErrorKind, Result};
use crate::format::ConfigFile;
use crate::pg::{ConfigFiles, Connection};
use crate::repository::CONFIG_DIRECTORY;
use crate::storage;
use crate::unit::to_u64;

/// The privileges to see where the files are, and to read them.
const GRANTS: &str = "roles pg_read_all_settings and pg_read_server_files, and EXECUTE on \
     pg_read_binary_file(text, bigint, bigint, boolean)";

/// Stores the configuration files that the base backup lacks. Returns warnings about those that
/// could not be stored; the backup is valid without them.
pub(super) fn store_files(
    connection: Result<Connection>,
    staging: &mut Staging,
) -> Result<Vec<String>> {
    let opened = connection.and_then(|mut connection| {
        let files = ConfigFiles::read(&mut connection)?;
        Ok((connection, files))
    });
    match opened {
        Ok((mut connection, files)) => ConfigCopier {
            connection: &mut connection,
            staging,
        }
        .copy_all(&files),
        Err(failure) if failure.kind() == ErrorKind::Stopped => Err(failure),
        Err(failure) => Ok(missing_files(staging, &failure.to_string())),
    }
}

struct ConfigCopier<'a> {
    connection: &'a mut Connection,
    staging: &'a mut Staging,
}

impl ConfigCopier<'_> {
    fn copy_all(&mut self, files: &ConfigFiles) -> Result<Vec<String>> {
        let Some(data) = &files.data_directory else {
            let why = format!("the role may not see its path; it needs: {GRANTS}");
            return Ok(missing_files(self.staging, &why));
        };
        let mut warnings = Vec::new();
        for (kind, path) in &files.files {
            let received = path
                .strip_prefix(data)
                .is_ok_and(|path| self.staging.received_size(path).is_some());
            if received {
                continue;
            }
            let stored = if files.readable {
                self.copy_file(*kind, path)
            } else {
                let why = format!("the role may not read it; it needs: {GRANTS}");
                Err(Error::new(ErrorKind::Permission, why))
            };
            match stored {
                Ok(()) => {}
                // Local errors fail the backup.
                Err(failure) if is_local(failure.kind()) => return Err(failure),
                Err(failure) => warnings.push(warning(&path.to_string_lossy(), failure.message())),
            }
        }
        Ok(warnings)
    }

    fn copy_file(&mut self, kind: ConfigFile, path: &Path) -> Result<()> {
        let relative = below_root(path).ok_or_else(|| {
            Error::new(ErrorKind::Server, "its path is not absolute or contains ..")
        })?;
        let content = self.connection.read_config_file(path)?;
        let content = content.ok_or_else(|| Error::new(ErrorKind::Server, "it was removed"))?;
        let coding = self.staging.coding().clone();
        // Below this directory each file has its path on the server.
        let mut stored = Path::new(CONFIG_DIRECTORY).join(relative).into_os_string();
        stored.push(coding.stored().suffix());
        let header = FileHeader {
            path: relative.to_owned(),
            stored_path: stored.into(),
            size: to_u64(content.len()),
            modified: jiff::Timestamp::now().as_second(),
            mode: 0o600,
        };
        if let Some(directory) = self.staging.path().join(&header.stored_path).parent() {
            storage::create_directories(directory)?;
        }
        let (entry, digest) = self.staging.store(header, &mut content.as_slice())?;
        self.staging.end_config(kind, entry, &digest)
    }
}

/// Whether an error is local and not from the server: disk, stop or internal.
fn is_local(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Stopped | ErrorKind::Io | ErrorKind::NoSpace | ErrorKind::Internal
    )
}

/// Warnings about missing files that a server needs to start.
fn missing_files(staging: &Staging, why: &str) -> Vec<String> {
    let names = [ConfigFile::Main, ConfigFile::Hba].map(ConfigFile::usual_name);
    let names = names.into_iter().flatten();
    let missing = names.filter(|name| staging.received_size(Path::new(name)).is_none());
    missing.map(|name| warning(name, why)).collect()
}

fn warning(name: &str, why: &str) -> String {
    format!("{name} is not in the data directory, and the backup has no copy of it: {why}")
}

/// The path without its leading slash, if it is absolute and without `..`.
fn below_root(path: &Path) -> Option<&Path> {
    let path = path.strip_prefix("/").ok()?;
    let normal = |component| matches!(component, Component::Normal(_));
    (path.components().all(normal) && path.file_name().is_some()).then_some(path)
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
