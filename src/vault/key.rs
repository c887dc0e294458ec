//! The master key file: `base64(secret)` and `base64(salt)`, each on a line.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::password::check_master_secret;
use crate::crypto::{MasterKey, SALT_LENGTH, Secret, fill_random};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage::{
    Access, DirectoryLock, check_access, create_directory, create_new, sync_directory,
};
use crate::unit::without_bom;

/// The maximum length of a master secret in bytes that the C program can read: its line buffer
/// holds 124 base64 characters.
pub const MAX_COMPATIBLE_SECRET: usize = 93;

/// The maximum size of the file in bytes, more than the longest accepted secret needs.
const MAX_FILE_SIZE: u64 = 64 << 10;

/// `$HOME/.pgmoneta/master.key`; without `HOME` the home directory is the one of the password
/// database.
pub fn master_key_path() -> Result<PathBuf> {
    match std::env::home_dir() {
        Some(home) if home.is_absolute() => Ok(home.join(".pgmoneta").join("master.key")),
        _ => Err(Error::new(
            ErrorKind::Configuration,
            "the home directory, which contains the master key, is unknown",
        )
        .with_hint("set HOME to the absolute path of the home directory")),
    }
}

/// Reads the master key file and derives the key, which takes about 0.2 s. Fails if other users
/// have access to the file or its directory.
pub fn load_master_key(path: &Path) -> Result<MasterKey> {
    check_permissions(path).context("master key")?;
    let (secret, salt) = parse(path, &read(path)?)?;
    Ok(MasterKey::derive(&secret, &salt))
}

/// The secret and the salt in the text of the file at `path`.
pub(super) fn parse(path: &Path, text: &[u8]) -> Result<(Secret, [u8; SALT_LENGTH])> {
    let damaged = |what: &str| {
        Error::new(
            ErrorKind::Corrupt,
            format!("master key {}: {what}", path.display()),
        )
    };
    let mut lines = without_bom(text)
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii);
    let secret = lines.next().unwrap_or_default();
    let salt = lines.next().unwrap_or_default();
    if secret.is_empty() {
        return Err(damaged("line 1, the key, is empty"));
    }
    if salt.is_empty() {
        return Err(damaged("line 2, the salt, is missing").with_hint(
            "keys from before version 0.21 have none; create a new key, and the users files with \
             it",
        ));
    }
    let secret = decode(secret).ok_or_else(|| damaged("line 1, the key, is not base64"))?;
    let salt = decode(salt)
        .and_then(|salt| salt.expose().try_into().ok())
        .ok_or_else(|| damaged("line 2, the salt, is not the base64 of 16 bytes"))?;
    Ok((secret, salt))
}

/// Creates the master key file, and its directory if that is missing. An existing file is never
/// overwritten.
pub fn create_master_key(path: &Path, secret: &Secret) -> Result<()> {
    check_master_secret(secret)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    if !directory.exists() {
        create_directory(directory)?;
        sync_directory(directory.parent().unwrap_or(Path::new("/")))?;
    }
    check_access(directory, Access::PrivateDirectory)?;
    let _lock = DirectoryLock::acquire(path)?;
    check_new_master_key(path)?;
    let mut salt = [0; SALT_LENGTH];
    fill_random(&mut salt)?;
    let mut text = Zeroizing::new(String::with_capacity(secret.expose().len() * 2 + 64));
    STANDARD.encode_string(secret.expose(), &mut text);
    text.push('\n');
    STANDARD.encode_string(salt, &mut text);
    text.push('\n');
    create_new(path, text.as_bytes())
}

/// Fails if there is a key already.
pub fn check_new_master_key(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!("the master key {} exists already", path.display()),
    )
    .with_hint("users files and encrypted backups need this key; it is never overwritten"))
}

fn check_permissions(path: &Path) -> Result<()> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("{} does not exist", path.display());
            return Err(Error::new(ErrorKind::NotFound, message).with_hint(
                "copy back the key of the users files and encrypted backups (it is looked for in \
                 HOME), or create the first one with: pgmoneta-admin master-key",
            ));
        }
        found => found.with_context(|| format!("look at {}", path.display()))?,
    };
    check_access(
        path.parent().unwrap_or(Path::new(".")),
        Access::PrivateDirectory,
    )?;
    check_access(path, Access::Private)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let action = || format!("read master key {}", path.display());
    let length = path.metadata().with_context(action)?.len();
    if length > MAX_FILE_SIZE {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!(
                "master key {}: it has {length} bytes; the maximum is {MAX_FILE_SIZE}",
                path.display()
            ),
        ));
    }
    std::fs::read(path).map(Zeroizing::new).with_context(action)
}

fn decode(base64: &[u8]) -> Option<Secret> {
    STANDARD.decode(base64).ok().map(Secret::new)
}
