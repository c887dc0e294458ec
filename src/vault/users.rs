//! The users of a users or admins file, decrypted.

use std::path::Path;
use std::sync::Arc;

use super::file::UsersFile;
use super::record;
use crate::crypto::{MasterKey, Secret};
use crate::error::{Failure, Kind, Result};

/// The users of a users or admins file, decrypted.
#[derive(Default)]
pub struct Vault {
    users: Vec<(String, Arc<Secret>)>,
}

impl Vault {
    /// Reads and decrypts a users or admins file. The failure tells a master key that opens nothing from records that
    /// are damaged, and names those by line.
    pub fn load(path: &Path, key: &MasterKey) -> Result<Vault> {
        let file = UsersFile::read(path)?;
        if let Some((line, what)) = file.damaged().next() {
            return Err(Failure::new(
                Kind::Corrupt,
                format!("{}:{line}: {what}", path.display()),
            ));
        }
        let mut users: Vec<(String, Arc<Secret>)> = Vec::new();
        let mut closed = Vec::new();
        for (line, name, sealed) in file.records() {
            if users.iter().any(|(known, _)| known == name) {
                log::warn!(
                    "{}:{line}: user {name} is there twice, the first one counts",
                    path.display()
                );
                continue;
            }
            match record::open(sealed, key) {
                Ok(password) => users.push((name.to_owned(), Arc::new(password))),
                Err(failure) => closed.push((line, name, failure)),
            }
        }
        match closed.first() {
            None => Ok(Vault { users }),
            Some((line, name, failure)) => {
                Err(refusal(path, *line, name, failure, users.is_empty()))
            }
        }
    }

    /// The password of a user.
    pub fn password(&self, user: &str) -> Option<Arc<Secret>> {
        let known = self.users.iter().find(|(name, _)| name == user);
        known.map(|(_, password)| Arc::clone(password))
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(|(name, _)| name.as_str())
    }

    /// How many users there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// Which of the two it is: a key that opens none of the records is another key; where it opens some, the others are
/// damaged.
pub(super) fn refusal(
    path: &Path,
    line: usize,
    name: &str,
    failure: &Failure,
    none_opened: bool,
) -> Failure {
    let path = path.display();
    if none_opened && failure.kind() == Kind::Authentication {
        Failure::new(
            Kind::Authentication,
            format!("{path}: no password in it opens with this master key"),
        )
        .hint(format!(
            "use the master.key that the file was made with, or move the file away and set the passwords anew: \
             pgmoneta-admin -f {path} -U NAME user add"
        ))
    } else {
        Failure::new(
            Kind::Corrupt,
            format!("{path}:{line}: the record of user {name} is damaged: {failure}"),
        )
        .hint(format!(
            "set the password anew: pgmoneta-admin -f {path} -U {name} user edit"
        ))
    }
}
