//! The users of remote management.

use std::sync::{Arc, PoisonError, RwLock};

use crate::crypto::scram::ScramUsers;
use crate::crypto::{Secret, fill_random};
use crate::error::Result;
use crate::vault::Vault;

/// The length in bytes of the secret from which the salts follow.
const SECRET_LENGTH: usize = 32;

/// The users of the admins file, as it was read last.
pub(super) struct Admins {
    /// Random for each run of the daemon: the salts of all names stay the same until its end.
    secret: Vec<u8>,
    current: RwLock<Arc<ScramUsers>>,
}

impl Admins {
    /// Derives their keys.
    pub(super) fn new(vault: &Vault) -> Result<Admins> {
        let mut secret = vec![0; SECRET_LENGTH];
        fill_random(&mut secret)?;
        let current = RwLock::new(Arc::new(derive(&secret, vault)?));
        Ok(Admins { secret, current })
    }

    /// Replaces them for the logins that begin from now on.
    pub(super) fn replace(&self, vault: &Vault) -> Result<()> {
        let new = Arc::new(derive(&self.secret, vault)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// For a login that begins now.
    pub(super) fn current(&self) -> Arc<ScramUsers> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn derive(secret: &[u8], vault: &Vault) -> Result<ScramUsers> {
    let names: Vec<&str> = vault.names().collect();
    let passwords: Vec<(&str, Arc<Secret>)> = names
        .into_iter()
        .filter_map(|name| Some((name, vault.password(name)?)))
        .collect();
    let users = passwords
        .iter()
        .map(|(name, password)| (*name, &**password));
    ScramUsers::derive(Secret::new(secret.to_vec()), users)
}
