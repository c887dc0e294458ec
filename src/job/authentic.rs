//! Checks that a backup was written with the master key and has not been changed.

use crate::error::{Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::repository::{Authenticity, Backup, Origin, VerificationInfo};
use crate::unit::Encryption;

/// Checks a backup before it is read. An encrypted one must be authentic: else a process that can
/// write to the repository, but has no key, could replace encrypted files by plain ones. One that
/// is not encrypted may be unsigned: the returned text is a warning. If the configuration encrypts,
/// an unsigned backup may have replaced an encrypted one, and is refused.
///
/// The C program does not sign. A backup of it that is encrypted is used all the same: that all of
/// its files decrypt shows that somebody with the master key wrote them, though not for this
/// backup.
pub(super) fn check(context: &ServerContext, backup: &Backup) -> Result<Option<String>> {
    let label = &backup.label;
    let (why, means) = match backup.authenticity(&context.daemon.key)? {
        Authenticity::Verified => return Ok(None),
        Authenticity::Unsigned => (
            "there is no HMAC in its backup.info",
            "changes made to it on purpose cannot be detected",
        ),
        Authenticity::Invalid => (
            "the HMAC in its backup.info does not match its content under this master key",
            "either the backup was made with another master key, or its backup.info was changed",
        ),
    };
    let encrypted = backup.info.encryption != Encryption::None;
    if encrypted && backup.origin == Origin::C {
        return Ok(Some(format!(
            "the backup {label} is not authenticated: the C program does not sign its backups; \
             that files were exchanged for those of another backup cannot be detected"
        )));
    }
    if encrypted {
        let message = format!("the encrypted backup {label} cannot be trusted: {why}");
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint(
            "it was changed, or made with another master key: restore it with that key",
        ));
    }
    if context.daemon.config.encryption != Encryption::None {
        let message = format!("the backup {label} is neither encrypted nor authenticated: {why}");
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint(
            "it may have replaced another backup; if you know its origin, use it with encryption \
             = none in the configuration",
        ));
    }
    Ok(Some(format!(
        "the backup {label} is not authenticated: {why}; {means}"
    )))
}

/// What is known of a backup without reading its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assessment {
    /// It can be restored.
    Restorable,
    /// It cannot be restored.
    NotRestorable,
    /// Its `backup.info` cannot be relied on: it is not known whether the backup is retained.
    Untrusted,
    /// The last verification found something wrong with it.
    Suspect,
}

/// Assesses a backup whose `backup.info` can be read.
pub(super) fn assess(context: &ServerContext, backup: &Backup) -> Assessment {
    let trusted = backup.has_trusted_info(&context.daemon.key);
    let trusted = trusted.unwrap_or_else(|failure| {
        log::warn!("check backup {}: {failure}", backup.label);
        false
    });
    if !trusted {
        return Assessment::Untrusted;
    }
    if !backup.info.valid || backup.damage().is_some() {
        return Assessment::NotRestorable;
    }
    match check(context, backup).is_ok() {
        true => Assessment::Restorable,
        false => Assessment::Untrusted,
    }
}

/// As [`assess`], also by what the last verification of the backup found.
pub(super) fn assess_verified(
    context: &ServerContext,
    verified: &VerificationInfo,
    backup: &Backup,
) -> Assessment {
    match assess(context, backup) {
        Assessment::Restorable if verified.has_problem(&backup.label) => Assessment::Suspect,
        assessment => assessment,
    }
}
