//! The users of a users or admins file, decrypted.

use std::path::Path;
use std::sync::Arc;

use super::file::UsersFile;
use super::record;
use crate::crypto::{MasterKey, Secret};
use crate::error::{Error, ErrorKind, Result};

/// Users with decrypted passwords, in the order of the file.
#[derive(Default)]
pub struct Vault {
    users: Vec<(String, Arc<Secret>)>,
}

impl Vault {
    /// Reads and decrypts a users or admins file. The error distinguishes a master key that
    /// decrypts no record from damaged records, which it names by line.
    pub fn load(path: &Path, key: &MasterKey) -> Result<Vault> {
        Vault::decrypt(&UsersFile::read(path)?, key)
    }

    /// Decrypts the users of a file.
    pub(super) fn decrypt(file: &UsersFile, key: &MasterKey) -> Result<Vault> {
        let path = file.path();
        if let Some((line, what)) = file.damaged().next() {
            return Err(Error::new(
                ErrorKind::Corrupt,
                format!("{}:{line}: {what}", path.display()),
            ));
        }
        let mut users: Vec<(String, Arc<Secret>)> = Vec::new();
        let mut failed = Vec::new();
        for (line, name, encrypted) in file.records() {
            if users.iter().any(|(known, _)| known == name) {
                log::warn!(
                    "{}:{line}: user {name} is defined twice, the first record is used",
                    path.display()
                );
                continue;
            }
            match record::open(encrypted, key) {
                Ok(password) => users.push((name.to_owned(), Arc::new(password))),
                Err(failure) => failed.push((line, name, failure)),
            }
        }
        match failed.first() {
            None => Ok(Vault { users }),
            Some((line, name, failure)) => Err(record::decrypt_error(
                path,
                *line,
                name,
                failure,
                users.is_empty(),
            )),
        }
    }

    /// The password of a user; `None` if the file has no such user.
    pub fn password(&self, user: &str) -> Option<Arc<Secret>> {
        let known = self.users.iter().find(|(name, _)| name == user);
        known.map(|(_, password)| Arc::clone(password))
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(|(name, _)| name.as_str())
    }

    /// The number of users.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}
