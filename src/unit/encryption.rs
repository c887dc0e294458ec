//! Encryption methods of stored files and messages.

use std::fmt;

use super::{Keyword, Names};

/// The encryption method of a stored file: AES in Galois/Counter Mode, by key size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// Stored unencrypted.
    #[default]
    None,
    /// AES-256-GCM.
    Aes256,
    /// AES-192-GCM.
    Aes192,
    /// AES-128-GCM.
    Aes128,
}

/// An encryption method.
struct Method {
    /// The name in files and messages, and others that are accepted.
    names: Names,
    /// The number in the management protocol, in `backup.info` and in documents.
    code: u8,
    /// The length of the key in bytes.
    key_length: usize,
}

impl Encryption {
    /// All methods, in the order of their codes.
    pub const ALL: [Encryption; 4] = [
        Encryption::None,
        Encryption::Aes256,
        Encryption::Aes192,
        Encryption::Aes128,
    ];

    /// The names of all methods.
    pub const NAMES: [Names; Encryption::ALL.len()] = {
        let mut names: [Names; Encryption::ALL.len()] = [("", &[]); Encryption::ALL.len()];
        let (mut to, mut from): (&mut [Names], &[Encryption]) = (&mut names, &Encryption::ALL);
        while let ([name, other_names @ ..], [encryption, others @ ..]) = (to, from) {
            *name = encryption.method().names;
            (to, from) = (other_names, others);
        }
        names
    };

    #[rustfmt::skip] // One row per line.
    const fn method(self) -> Method {
        match self {
            Encryption::None => Method { names: ("none", &[]), code: 0, key_length: 0 },
            Encryption::Aes256 => Method { names: ("aes-256-gcm", &["aes", "aes256", "aes-gcm", "aes256-gcm", "aes-256"]), code: 1, key_length: 32 },
            Encryption::Aes192 => Method { names: ("aes-192-gcm", &["aes192", "aes192-gcm", "aes-192"]), code: 2, key_length: 24 },
            Encryption::Aes128 => Method { names: ("aes-128-gcm", &["aes128", "aes128-gcm", "aes-128"]), code: 3, key_length: 16 },
        }
    }

    /// The name in files and messages.
    pub fn name(self) -> &'static str {
        self.method().names.0
    }

    /// The suffix of a stored file's name.
    pub fn suffix(self) -> &'static str {
        if self == Encryption::None { "" } else { ".aes" }
    }

    /// The number in the management protocol, in `backup.info` and in documents (0 to 3).
    pub fn code(self) -> u8 {
        self.method().code
    }

    /// `None` for a number above 3.
    pub fn from_code(code: u32) -> Option<Encryption> {
        Encryption::ALL
            .into_iter()
            .find(|e| u32::from(e.code()) == code)
    }

    /// The length of the key in bytes.
    pub fn key_length(self) -> usize {
        self.method().key_length
    }
}

impl Keyword for Encryption {
    const ALL: &'static [Encryption] = &Encryption::ALL;

    fn names(self) -> Names {
        self.method().names
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_a_row_of_its_own() {
        for (encryption, code) in Encryption::ALL.into_iter().zip(0..) {
            let (name, aliases) = encryption.method().names;
            for name in std::iter::once(&name).chain(aliases) {
                assert_eq!(Encryption::from_name(name), Some(encryption));
            }
            assert_eq!(encryption.code(), code);
            assert_eq!(Encryption::from_code(code.into()), Some(encryption));
        }
        let rows = Encryption::ALL.map(|encryption| encryption.method().names);
        assert_eq!(Encryption::NAMES, rows);
    }
}
