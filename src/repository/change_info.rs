//! Changing the metadata in `backup.info` of a complete backup.

use std::fmt::Display;

use super::backup_info::MAX_SIZE;
use super::layout::INFO;
use super::signature::{Signature, sign, without_hmac};
use super::{Backup, BackupInfo, Origin, Repository, c_sums};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage;
use crate::unit::Encryption;

/// What can be changed in the `backup.info` of a complete backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// `STATUS`
    pub valid: bool,
    /// `KEEP`
    pub keep: bool,
    /// `COMMENTS`
    pub comments: String,
}

impl Metadata {
    fn of(info: &BackupInfo) -> Metadata {
        Metadata {
            valid: info.valid,
            keep: info.keep,
            comments: info.comments.clone(),
        }
    }
}

impl Repository {
    /// Changes the metadata of a backup, of this or of the C program, durably: afterwards all
    /// changes are made, or none. Reads the file first; calls for the backups of a server exclude
    /// each other, so that none is lost. Only the lines of the changed values are replaced.
    ///
    /// A file that is signed must have been signed with `key`, and an encrypted backup must be
    /// signed: [`ErrorKind::Corrupt`]. One without a signature stays without.
    pub fn change_info(
        &self,
        backup: &Backup,
        key: &MasterKey,
        change: impl FnOnce(&mut Metadata) -> Result<()>,
    ) -> Result<Backup> {
        let _guard = self.lock_backup_info();
        let path = backup.path.join(INFO);
        let action = || format!("read {}", path.display());
        let old = storage::read_file(&path, MAX_SIZE).with_context(action)?;
        let info = BackupInfo::parse(&old, &backup.label).with_context(action)?;
        let signature = Signature::parse(&old).with_context(action)?;
        check_signature(backup, &info, signature, key)?;
        let before = Metadata::of(&info);
        let mut after = before.clone();
        change(&mut after)?;
        if after == before {
            return Ok(backup.read_again());
        }
        // It was parsed.
        let mut text = String::from_utf8_lossy(without_hmac(&old)).into_owned();
        set_changed(&mut text, "STATUS", before.valid, after.valid);
        set_changed(&mut text, "KEEP", before.keep, after.keep);
        if before.comments != after.comments {
            set(&mut text, "COMMENTS", &after.comments);
        }
        if signature.is_some() {
            text = sign(text, key)?;
        }
        let written = BackupInfo::parse(text.as_bytes(), &backup.label)?;
        if Metadata::of(&written) != after {
            let message = format!("the new {INFO} of backup {} is wrong", backup.label);
            return Err(Error::new(ErrorKind::Internal, message));
        }
        self.check_paths()?;
        let replace = || storage::replace(&path, text.as_bytes());
        match backup.origin {
            Origin::Own => replace()?,
            Origin::C => c_sums::replace_with(&backup.path, text.as_bytes(), replace)?,
        }
        Ok(backup.read_again())
    }
}

fn set_changed(text: &mut String, key: &str, before: bool, after: bool) {
    if before != after {
        set(text, key, &u8::from(after));
    }
}

/// Replaces the lines of a key, which should be one, or adds it at the end.
fn set(text: &mut String, key: &str, value: &dyn Display) {
    let is_key = |line: &&str| {
        let rest = line.strip_prefix(key);
        rest.is_some_and(|rest| rest.starts_with('='))
    };
    let new = format!("{key}={value}\n");
    let found = text.lines().any(|line| is_key(&line));
    let lines = text.split_inclusive('\n');
    let mut changed: String = lines
        .map(|line| if is_key(&line) { new.as_str() } else { line })
        .collect();
    if !found {
        changed.push_str(&new);
    }
    *text = changed;
}

/// Fails if the file is not to be signed, or not to be written at all.
fn check_signature(
    backup: &Backup,
    info: &BackupInfo,
    signature: Option<Signature>,
    key: &MasterKey,
) -> Result<()> {
    let why = match signature {
        // Without its digest the manifest is not authenticated.
        Some(signature) if info.manifest_sha256.is_some() && signature.matches(key)? => {
            return Ok(());
        }
        Some(_) => "its HMAC does not match its content under this master key",
        None if backup.origin == Origin::C || info.encryption == Encryption::None => return Ok(()),
        None => "the backup is encrypted, and there is no HMAC in it",
    };
    let message = format!("{INFO} of backup {} cannot be changed: {why}", backup.label);
    Err(Error::new(ErrorKind::Corrupt, message)
        .with_hint("it was changed, or made with another master key"))
}
