//! The format of a stored file, and the suffixes of its name.

use super::Compression;
use crate::unit::Encryption;

/// Compression and encryption of a stored file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredFormat {
    /// The compression method.
    pub compression: Compression,
    /// The cipher and its key size.
    pub encryption: Encryption,
}

impl StoredFormat {
    /// Neither compressed nor encrypted.
    pub const PLAIN: StoredFormat = StoredFormat {
        compression: Compression::None,
        encryption: Encryption::None,
    };

    /// The suffix of the name: `.zstd.aes`, `.gz`, or empty.
    pub fn suffix(self) -> String {
        format!("{}{}", self.compression.suffix(), self.encryption.suffix())
    }

    /// The part of the format that the name tells.
    pub fn suffixes(self) -> Suffixes {
        Suffixes {
            compression: self.compression,
            encrypted: self.encryption != Encryption::None,
        }
    }
}

/// The format that the name of a stored file tells: everything except the key size, which
/// [`super::StoredReader::probe`] detects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suffixes {
    /// The compression method.
    pub compression: Compression,
    /// Whether it is encrypted.
    pub encrypted: bool,
}

impl Suffixes {
    /// The name of a plain file has no suffix.
    pub const NONE: Suffixes = Suffixes {
        compression: Compression::None,
        encrypted: false,
    };

    /// All combinations of suffixes.
    pub fn all() -> impl Iterator<Item = Suffixes> {
        Compression::ALL.into_iter().flat_map(|compression| {
            [false, true].map(|encrypted| Suffixes {
                compression,
                encrypted,
            })
        })
    }

    /// The suffix of the name: `.zstd.aes`, `.gz`, or empty.
    pub fn text(self) -> String {
        let aes = Encryption::Aes256.suffix();
        let encryption = if self.encrypted { aes } else { "" };
        format!("{}{encryption}", self.compression.suffix())
    }

    /// Splits the name of a stored file into the plain name and the suffixes. For WAL only, whose
    /// plain names have no suffix; for files of a backup the manifest tells the format.
    pub fn split_name(name: &str) -> (&str, Suffixes) {
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
    fn a_name_tells_all_except_the_key_size() {
        for compression in Compression::ALL {
            for encryption in Encryption::ALL {
                let stored = StoredFormat {
                    compression,
                    encryption,
                };
                let name = format!("00000001000000000000000A{}", stored.suffix());
                assert_eq!(
                    Suffixes::split_name(&name),
                    ("00000001000000000000000A", stored.suffixes()),
                    "{name}"
                );
                assert_eq!(stored.suffixes().text(), stored.suffix());
                assert!(Suffixes::all().any(|one| one == stored.suffixes()));
            }
        }
        assert_eq!(Suffixes::all().count(), 2 * Compression::ALL.len());
        assert_eq!(Suffixes::split_name("A"), ("A", Suffixes::NONE));
    }
}
