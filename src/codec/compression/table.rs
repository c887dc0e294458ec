//! The table of compression methods.

use std::fmt;
use std::ops::RangeInclusive;

use super::method::{Coder, Method};
use super::{bzip2, gzip, lz4, none, zstd};
use crate::unit::{Keyword, Names};

/// The compression method of a stored file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Stored uncompressed.
    None,
    /// Gzip members (RFC 1952).
    Gzip,
    /// Zstandard frames (RFC 8878).
    #[default]
    Zstd,
    /// LZ4 frames (lz4_Frame_format.md).
    Lz4,
    /// bzip2 streams.
    Bzip2,
}

impl Compression {
    /// All methods, in the order of their codes.
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Zstd,
        Compression::Lz4,
        Compression::Bzip2,
    ];

    /// The names of all methods.
    pub const NAMES: [Names; Compression::ALL.len()] = {
        let mut names: [Names; Compression::ALL.len()] = [("", &[]); Compression::ALL.len()];
        let (mut to, mut from): (&mut [Names], &[Compression]) = (&mut names, &Compression::ALL);
        while let ([name, other_names @ ..], [compression, others @ ..]) = (to, from) {
            *name = compression.method().names;
            (to, from) = (other_names, others);
        }
        names
    };

    /// The name in files and messages.
    pub fn name(self) -> &'static str {
        self.method().names.0
    }

    /// The suffix of a stored file's name.
    pub fn suffix(self) -> &'static str {
        self.method().suffix
    }

    /// The valid levels.
    pub fn levels(self) -> RangeInclusive<i32> {
        let (lowest, highest) = self.method().levels;
        lowest..=highest
    }

    /// The number in the management protocol (0 to 15).
    pub fn code(self) -> u8 {
        self.method().code
    }

    /// The number in `backup.info` and in documents: the code, plus 16 for "compressed by the
    /// client".
    pub fn info_code(self) -> u32 {
        if self == Compression::None {
            0
        } else {
            u32::from(self.code()) + 16
        }
    }

    /// Only the lower four bits of `code` are the method.
    pub fn from_code(code: u32) -> Option<Compression> {
        Compression::ALL
            .into_iter()
            .find(|c| u32::from(c.code()) == code & 0xF)
    }

    pub(in super::super) const fn method(self) -> &'static Method {
        match self {
            Compression::None => &none::METHOD,
            Compression::Gzip => &gzip::METHOD,
            Compression::Zstd => &zstd::METHOD,
            Compression::Lz4 => &lz4::METHOD,
            Compression::Bzip2 => &bzip2::METHOD,
        }
    }

    pub(in super::super) fn coder(self) -> &'static Coder {
        match self {
            Compression::None => &none::CODER,
            Compression::Gzip => &gzip::CODER,
            Compression::Zstd => &zstd::CODER,
            Compression::Lz4 => &lz4::CODER,
            Compression::Bzip2 => &bzip2::CODER,
        }
    }
}

impl Keyword for Compression {
    const ALL: &'static [Compression] = &Compression::ALL;

    fn names(self) -> Names {
        self.method().names
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_method_has_a_row_of_its_own() {
        let mut names = HashSet::new();
        let mut suffixes = HashSet::new();
        for (compression, code) in Compression::ALL.into_iter().zip(0..) {
            let method = compression.method();
            assert_eq!(compression.code(), code, "{compression}");
            assert_eq!(Compression::from_code(code.into()), Some(compression));
            assert_eq!(
                Compression::from_code(compression.info_code()),
                Some(compression)
            );
            assert!(
                compression
                    .levels()
                    .contains(&compression.coder().default_level),
                "{compression}"
            );
            assert!(suffixes.insert(compression.suffix()), "{compression}");
            let (name, aliases) = method.names;
            for name in std::iter::once(&name).chain(aliases) {
                assert!(names.insert(*name), "{name}");
                assert_eq!(Compression::from_name(name), Some(compression));
            }
        }
        assert!(Compression::ALL.len() <= 16, "a code has four bits");
        let rows = Compression::ALL.map(|compression| compression.method().names);
        assert_eq!(Compression::NAMES, rows);
    }
}
