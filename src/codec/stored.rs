//! What the name of a stored file says.

use crate::unit::{Compression, Encryption};

/// How a stored file was written: what its name ends in.
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

    /// Splits the name of a stored file into the plain name and how it is stored; `encryption` is what `.aes` means.
    /// For WAL only, whose plain names have no suffix: that a file of a backup ends in `.gz` says nothing, its
    /// manifest does.
    pub fn of_name(name: &str, encryption: Encryption) -> (&str, Stored) {
        let (name, encryption) = match name.strip_suffix(Encryption::Aes256.suffix()) {
            Some(rest) => (rest, encryption),
            None => (name, Encryption::None),
        };
        for compression in Compression::ALL {
            if compression != Compression::None
                && let Some(rest) = name.strip_suffix(compression.suffix())
            {
                let stored = Stored {
                    compression,
                    encryption,
                };
                return (rest, stored);
            }
        }
        let stored = Stored {
            compression: Compression::None,
            encryption,
        };
        (name, stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_how_the_file_is_stored() {
        for compression in Compression::ALL {
            for encryption in Encryption::ALL {
                let stored = Stored {
                    compression,
                    encryption,
                };
                let name = format!("00000001000000000000000A{}", stored.suffix());
                assert_eq!(
                    Stored::of_name(&name, encryption),
                    ("00000001000000000000000A", stored),
                    "{name}"
                );
            }
        }
        let (name, stored) = Stored::of_name("A.gz.aes", Encryption::Aes128);
        assert_eq!(name, "A");
        assert_eq!(stored.suffix(), ".gz.aes");
        assert_eq!(stored.encryption, Encryption::Aes128);
    }
}
