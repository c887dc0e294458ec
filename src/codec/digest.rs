//! Digests of what passes through.

use crate::crypto::Sha256;

/// How much is digested at a time, so that the second digest finds it in the cache.
const PIECE: usize = 64 << 10;

/// What went through an [`super::encode`], a [`super::Sink`] or a [`super::Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// Bytes before compression.
    pub plain_size: u64,
    /// CRC-32C of the plain bytes.
    pub crc32c: u32,
    /// BLAKE3 of the plain bytes.
    pub blake3: [u8; 32],
    /// Bytes as stored.
    pub stored_size: u64,
    /// SHA-256 of the stored bytes.
    pub sha256: [u8; 32],
}

/// The size and the digests of plain bytes that come in pieces: CRC-32C to compare with PostgreSQL's manifest,
/// BLAKE3 to prove that nothing changed.
#[derive(Clone, Debug, Default)]
pub struct PlainDigest {
    size: u64,
    crc32c: u32,
    blake3: blake3::Hasher,
}

/// The size and the SHA-256 of stored bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub(super) struct StoredDigest {
    size: u64,
    sha256: Sha256,
}

impl PlainDigest {
    /// The digest of no bytes yet.
    pub fn new() -> PlainDigest {
        PlainDigest::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        for piece in bytes.chunks(PIECE) {
            self.crc32c = crc32c::crc32c_append(self.crc32c, piece);
            self.blake3.update(piece);
        }
    }

    /// How many bytes were added.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Joins both sides.
    pub(super) fn with(&self, stored: StoredDigest) -> Digests {
        Digests {
            plain_size: self.size,
            crc32c: self.crc32c,
            blake3: *self.blake3.finalize().as_bytes(),
            stored_size: stored.size,
            sha256: stored.sha256.finish(),
        }
    }
}

impl StoredDigest {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.sha256.update(bytes);
    }
}
