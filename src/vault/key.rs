//! The master key file: `base64(secret)` and `base64(salt)`, one a line.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::password::check_master_secret;
use crate::crypto::{MasterKey, SALT_LENGTH, Secret, fill};
use crate::error::{Context, Failure, Kind, Result};
use crate::storage::{
    DirectoryLock, Secrecy, check_secrecy, create_directory, create_new, sync_directory,
};
use crate::unit::without_mark;

/// The longest master secret in bytes that the C program can read back: its line buffer holds 124 base64 characters.
pub const LONGEST_SHARED_KEY: usize = 93;

/// More than the longest secret that is accepted needs.
const LONGEST_FILE: u64 = 64 << 10;

/// `$HOME/.pgmoneta/master.key`; without `HOME` the home directory is the one of the password database.
pub fn master_key_path() -> Result<PathBuf> {
    match std::env::home_dir() {
        Some(home) if home.is_absolute() => Ok(home.join(".pgmoneta").join("master.key")),
        _ => Err(Failure::new(
            Kind::Configuration,
            "the home directory, where the master key lies, is not known",
        )
        .hint("set HOME to the absolute path of the home directory")),
    }
}

/// Reads the master key file and derives the key, which takes about 0.2 s. Nobody else may have access to the file
/// or to its directory.
pub fn load_master_key(path: &Path) -> Result<MasterKey> {
    check_place(path).context("master key")?;
    let text = read(path)?;
    let damaged = |what: &str| {
        Failure::new(
            Kind::Corrupt,
            format!("master key {}: {what}", path.display()),
        )
    };
    let mut lines = without_mark(&text)
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii);
    let secret = lines.next().unwrap_or_default();
    let salt = lines.next().unwrap_or_default();
    if secret.is_empty() {
        return Err(damaged("line 1, the key, is empty"));
    }
    if salt.is_empty() {
        return Err(damaged("line 2, the salt, is missing").hint(
            "a key from before version 0.21 has none; make a new key and the users files with it",
        ));
    }
    let secret = decode(secret).ok_or_else(|| damaged("line 1, the key, is not base64"))?;
    let salt: [u8; SALT_LENGTH] = decode(salt)
        .and_then(|salt| salt.expose().try_into().ok())
        .ok_or_else(|| damaged("line 2, the salt, is not the base64 of 16 bytes"))?;
    Ok(MasterKey::derive(&secret, &salt))
}

/// Makes the master key file, and its directory if that is missing. One that exists is never overwritten.
pub fn create_master_key(path: &Path, secret: &Secret) -> Result<()> {
    check_master_secret(secret)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    if !directory.exists() {
        create_directory(directory)?;
        sync_directory(directory.parent().unwrap_or(Path::new("/")))?;
    }
    check_secrecy(directory, Secrecy::PrivateDirectory)?;
    let _lock = DirectoryLock::wait(path)?;
    check_new_master_key(path)?;
    let mut salt = [0; SALT_LENGTH];
    fill(&mut salt)?;
    let mut text = Zeroizing::new(String::with_capacity(secret.expose().len() * 2 + 64));
    STANDARD.encode_string(secret.expose(), &mut text);
    text.push('\n');
    STANDARD.encode_string(salt, &mut text);
    text.push('\n');
    create_new(path, text.as_bytes())
}

/// Refuses to make a key where there is one.
pub fn check_new_master_key(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Usage,
        format!("the master key {} exists already", path.display()),
    )
    .hint("users files and encrypted backups open with this key only; it is never overwritten"))
}

fn check_place(path: &Path) -> Result<()> {
    match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = format!("{} does not exist", path.display());
            return Err(Failure::new(Kind::NotFound, message).hint(
                "copy back the one that the users files and encrypted backups were made with (HOME says where it is \
                 looked for); the first one is made with: pgmoneta-admin master-key",
            ));
        }
        found => found.with_context(|| format!("look at {}", path.display()))?,
    };
    check_secrecy(
        path.parent().unwrap_or(Path::new(".")),
        Secrecy::PrivateDirectory,
    )?;
    check_secrecy(path, Secrecy::Private)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let reading = || format!("read master key {}", path.display());
    let length = path.metadata().with_context(reading)?.len();
    if length > LONGEST_FILE {
        return Err(Failure::new(
            Kind::Corrupt,
            format!("master key {}: {length} bytes are too many", path.display()),
        ));
    }
    std::fs::read(path)
        .map(Zeroizing::new)
        .with_context(reading)
}

fn decode(base64: &[u8]) -> Option<Secret> {
    STANDARD.decode(base64).ok().map(Secret::new)
}
