//! Compression and encryption methods of stored files.

use std::fmt;

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

    /// The suffix of a stored file's name.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zstd",
            Compression::Lz4 => ".lz4",
            Compression::Bzip2 => ".bz2",
        }
    }

    /// The number in the management protocol (0 to 4).
    pub fn code(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Zstd => 2,
            Compression::Lz4 => 3,
            Compression::Bzip2 => 4,
        }
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
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Lz4 => "lz4",
            Compression::Bzip2 => "bzip2",
        })
    }
}

/// The compression level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Chosen for each file from its first bytes.
    #[default]
    Auto,
    /// A level of the compression method; the range depends on the method.
    Fixed(i32),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Level::Auto => f.write_str("auto"),
            Level::Fixed(level) => level.fmt(f),
        }
    }
}

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

impl Encryption {
    /// All methods, in the order of their codes.
    pub const ALL: [Encryption; 4] = [
        Encryption::None,
        Encryption::Aes256,
        Encryption::Aes192,
        Encryption::Aes128,
    ];

    /// The suffix of a stored file's name.
    pub fn suffix(self) -> &'static str {
        if self == Encryption::None { "" } else { ".aes" }
    }

    /// The number in the management protocol, in `backup.info` and in documents (0 to 3).
    pub fn code(self) -> u8 {
        match self {
            Encryption::None => 0,
            Encryption::Aes256 => 1,
            Encryption::Aes192 => 2,
            Encryption::Aes128 => 3,
        }
    }

    /// `None` for a number above 3.
    pub fn from_code(code: u32) -> Option<Encryption> {
        Encryption::ALL
            .into_iter()
            .find(|e| u32::from(e.code()) == code)
    }

    /// The length of the key in bytes.
    pub fn key_length(self) -> usize {
        match self {
            Encryption::None => 0,
            Encryption::Aes256 => 32,
            Encryption::Aes192 => 24,
            Encryption::Aes128 => 16,
        }
    }
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encryption::None => "none",
            Encryption::Aes256 => "aes-256-gcm",
            Encryption::Aes192 => "aes-192-gcm",
            Encryption::Aes128 => "aes-128-gcm",
        })
    }
}
