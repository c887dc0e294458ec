//! Whether a backup may be used: it is what this daemon, or another one with the same master key, has written.

use crate::error::{Failure, Kind, Result};
use crate::job::context::Context;
use crate::repository::{Authenticity, Backup};
use crate::unit::Encryption;

/// Checks a backup before it is read. An encrypted one must be proven: who can write to the repository, but has not the key,
/// could else put plain files in the place of encrypted ones. One that is not encrypted may come from elsewhere; then that
/// is said. Where the configuration encrypts, such a backup may stand where an encrypted one was, and is refused.
pub(super) fn check(context: &Context, backup: &Backup) -> Result<Option<String>> {
    let label = &backup.label;
    let why = match backup.authenticity(&context.key)? {
        Authenticity::Proven => return Ok(None),
        Authenticity::Unsigned => "there is no HMAC in its backup.info",
        Authenticity::Refuted => {
            "the HMAC in its backup.info is not that of its content under this master key"
        }
    };
    if backup.info.encryption != Encryption::None {
        let message = format!("the encrypted backup {label} cannot be trusted: {why}");
        return Err(Failure::new(Kind::Corrupt, message).hint(
            "somebody changed it, or it was made with another master key: restore it with that one",
        ));
    }
    if context.config.encryption != Encryption::None {
        let message =
            format!("the backup {label} is neither encrypted nor proven to be ours: {why}");
        return Err(Failure::new(Kind::Corrupt, message).hint(
            "somebody may have put it in the place of another one; if you know where it comes from, use it with \
             encryption = none in the configuration",
        ));
    }
    Ok(Some(format!(
        "the backup {label} is not authenticated: {why}; that nobody has changed it is not proven"
    )))
}
