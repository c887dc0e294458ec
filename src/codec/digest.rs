//! Digests of plain and stored bytes.

use crate::crypto::{Sha256, Sha512};
use crate::unit::to_u64;

/// Bytes that are hashed at a time, so that the second digest finds them in the CPU cache.
const BLOCK_SIZE: usize = 64 << 10;

/// The sizes and digests of a file, from [`super::encode`], [`super::StoredWriter`] or
/// [`super::StoredReader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// The size before compression, bytes.
    pub plain_size: u64,
    /// The size on disk, bytes.
    pub stored_size: u64,
    /// The digests.
    pub values: DigestValues,
}

/// The digests of a file, by the program that records them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestValues {
    /// Those of this program.
    Own(OwnDigests),
    /// Those of the C program; `None` where it recorded none.
    Sha512 {
        /// SHA-512 of the plain bytes.
        plain: Option<[u8; 64]>,
        /// SHA-512 of the stored bytes.
        stored: Option<[u8; 64]>,
    },
}

/// The digests that this program records for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnDigests {
    /// CRC-32C of the plain bytes.
    pub crc32c: u32,
    /// BLAKE3 of the plain bytes.
    pub blake3: [u8; 32],
    /// SHA-256 of the stored bytes.
    pub sha256: [u8; 32],
}

/// Which digests a reader computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestKind {
    /// `DigestValues::Own`.
    #[default]
    Own,
    /// `DigestValues::Sha512`.
    Sha512,
}

impl Digests {
    /// The SHA-256 of the stored bytes, which only this program computes.
    pub fn stored_sha256(&self) -> Option<[u8; 32]> {
        match self.values {
            DigestValues::Own(own) => Some(own.sha256),
            DigestValues::Sha512 { .. } => None,
        }
    }
}

impl DigestValues {
    /// Whether both are of the same plain bytes; those of two programs cannot be compared.
    pub fn have_same_plain(&self, other: &DigestValues) -> bool {
        match (self, other) {
            (DigestValues::Own(one), DigestValues::Own(other)) => one.blake3 == other.blake3,
            (
                DigestValues::Sha512 {
                    plain: Some(one), ..
                },
                DigestValues::Sha512 {
                    plain: Some(other), ..
                },
            ) => one == other,
            _ => false,
        }
    }

    /// Which digests these are.
    pub fn kind(&self) -> DigestKind {
        match self {
            DigestValues::Own(_) => DigestKind::Own,
            DigestValues::Sha512 { .. } => DigestKind::Sha512,
        }
    }
}

/// Incremental size and digests of plain bytes: CRC-32C to compare with PostgreSQL's manifest,
/// BLAKE3 to detect any change.
#[derive(Clone, Debug, Default)]
pub struct PlainDigest {
    size: u64,
    crc32c: u32,
    blake3: blake3::Hasher,
}

/// Incremental size and SHA-256 of stored bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct StoredDigest {
    size: u64,
    sha256: Sha256,
}

impl PlainDigest {
    /// The digest of zero bytes.
    pub fn new() -> PlainDigest {
        PlainDigest::default()
    }

    /// Adds `bytes` to size and digests.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += to_u64(bytes.len());
        for block in bytes.chunks(BLOCK_SIZE) {
            self.crc32c = crc32c::crc32c_append(self.crc32c, block);
            self.blake3.update(block);
        }
    }

    /// The number of bytes added.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Combines it with what is known of the stored bytes.
    pub fn with_stored(&self, stored_size: u64, sha256: [u8; 32]) -> Digests {
        Digests {
            plain_size: self.size,
            stored_size,
            values: DigestValues::Own(OwnDigests {
                crc32c: self.crc32c,
                blake3: *self.blake3.finalize().as_bytes(),
                sha256,
            }),
        }
    }

    /// Combines the plain and the stored digests.
    pub(super) fn combine(&self, stored: StoredDigest) -> Digests {
        self.with_stored(stored.size, stored.sha256.finish())
    }
}

impl StoredDigest {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.size += to_u64(bytes.len());
        self.sha256.update(bytes);
    }
}

/// What a reader has computed of the stored bytes.
#[derive(Debug)]
pub(super) enum StoredHash {
    Own(StoredDigest),
    Sha512 { size: u64, sha512: Sha512 },
}

impl StoredHash {
    pub(super) fn new(kind: DigestKind) -> StoredHash {
        match kind {
            DigestKind::Own => StoredHash::Own(StoredDigest::default()),
            DigestKind::Sha512 => StoredHash::Sha512 {
                size: 0,
                sha512: Sha512::new(),
            },
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            StoredHash::Own(digest) => digest.update(bytes),
            StoredHash::Sha512 { size, sha512 } => {
                *size += to_u64(bytes.len());
                sha512.update(bytes);
            }
        }
    }
}

/// What a reader has computed of the plain bytes.
#[derive(Debug)]
pub(super) enum PlainHash {
    Own(Box<PlainDigest>),
    Sha512 { size: u64, sha512: Box<Sha512> },
}

impl PlainHash {
    pub(super) fn new(kind: DigestKind) -> PlainHash {
        match kind {
            DigestKind::Own => PlainHash::Own(Box::default()),
            DigestKind::Sha512 => PlainHash::Sha512 {
                size: 0,
                sha512: Box::default(),
            },
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            PlainHash::Own(digest) => digest.update(bytes),
            PlainHash::Sha512 { size, sha512 } => {
                *size += to_u64(bytes.len());
                sha512.update(bytes);
            }
        }
    }

    /// The number of bytes added.
    pub(super) fn size(&self) -> u64 {
        match self {
            PlainHash::Own(digest) => digest.size(),
            PlainHash::Sha512 { size, .. } => *size,
        }
    }

    /// Combines both; `None` if they are not of the same kind.
    pub(super) fn combine(self, stored: StoredHash) -> Option<Digests> {
        match (self, stored) {
            (PlainHash::Own(plain), StoredHash::Own(stored)) => Some(plain.combine(stored)),
            (
                PlainHash::Sha512 { size, sha512 },
                StoredHash::Sha512 {
                    size: stored_size,
                    sha512: stored,
                },
            ) => Some(Digests {
                plain_size: size,
                stored_size,
                values: DigestValues::Sha512 {
                    plain: Some(sha512.finish()),
                    stored: Some(stored.finish()),
                },
            }),
            _ => None,
        }
    }
}
