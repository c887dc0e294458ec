//! How a file is stored, and what its name says of that.

use crate::unit::{Compression, Encryption};

/// How a file is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// How it is compressed.
    pub compression: Compression,
    /// How it is encrypted.
    pub encryption: Encryption,
}

impl Stored {
    /// As it is: neither compressed nor encrypted.
    pub const PLAIN: Stored = Stored {
        compression: Compression::None,
        encryption: Encryption::None,
    };

    /// What is added to the name of the plain file: `.zstd.aes`, `.gz`, nothing.
    pub fn suffix(self) -> String {
        format!("{}{}", self.compression.suffix(), self.encryption.suffix())
    }

    /// What the name says of it.
    pub fn named(self) -> Suffixes {
        Suffixes {
            compression: self.compression,
            encrypted: self.encryption != Encryption::None,
        }
    }
}

/// What the name of a stored file says: everything but the size of the key, which no name says and
/// [`super::Source::probe`] finds out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suffixes {
    /// How the file is compressed.
    pub compression: Compression,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

impl Suffixes {
    /// Of a plain file.
    pub const NONE: Suffixes = Suffixes {
        compression: Compression::None,
        encrypted: false,
    };

    /// Every name that a stored file can have.
    pub fn all() -> impl Iterator<Item = Suffixes> {
        Compression::ALL.into_iter().flat_map(|compression| {
            [false, true].map(|encrypted| Suffixes {
                compression,
                encrypted,
            })
        })
    }

    /// What is added to the name of the plain file: `.zstd.aes`, `.gz`, nothing.
    pub fn text(self) -> String {
        let aes = Encryption::Aes256.suffix();
        let encryption = if self.encrypted { aes } else { "" };
        format!("{}{encryption}", self.compression.suffix())
    }

    /// Splits the name of a stored file into the plain name and what the rest says. For WAL only, whose plain names have
    /// no suffix: that a file of a backup ends in `.gz` says nothing, its manifest does.
    pub fn of_name(name: &str) -> (&str, Suffixes) {
        let (name, encrypted) = match name.strip_suffix(Encryption::Aes256.suffix()) {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        for compression in Compression::ALL {
            if compression != Compression::None
                && let Some(rest) = name.strip_suffix(compression.suffix())
            {
                let suffixes = Suffixes {
                    compression,
                    encrypted,
                };
                return (rest, suffixes);
            }
        }
        let suffixes = Suffixes {
            compression: Compression::None,
            encrypted,
        };
        (name, suffixes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_all_but_the_size_of_the_key() {
        for compression in Compression::ALL {
            for encryption in Encryption::ALL {
                let stored = Stored {
                    compression,
                    encryption,
                };
                let name = format!("00000001000000000000000A{}", stored.suffix());
                assert_eq!(
                    Suffixes::of_name(&name),
                    ("00000001000000000000000A", stored.named()),
                    "{name}"
                );
                assert_eq!(stored.named().text(), stored.suffix());
                assert!(Suffixes::all().any(|one| one == stored.named()));
            }
        }
        assert_eq!(Suffixes::all().count(), 10);
        assert_eq!(Suffixes::of_name("A"), ("A", Suffixes::NONE));
    }
}
