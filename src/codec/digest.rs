//! Digests of plain and stored bytes.

use crate::crypto::Sha256;
use crate::unit::to_u64;

/// Bytes that are hashed at a time, so that the second digest finds them in the CPU cache.
const BLOCK_SIZE: usize = 64 << 10;

/// The sizes and digests of a file, from [`super::encode`], [`super::StoredWriter`] or
/// [`super::StoredReader`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// The size before compression, bytes.
    pub plain_size: u64,
    /// CRC-32C of the plain bytes.
    pub crc32c: u32,
    /// BLAKE3 of the plain bytes.
    pub blake3: [u8; 32],
    /// The size on disk, bytes.
    pub stored_size: u64,
    /// SHA-256 of the stored bytes.
    pub sha256: [u8; 32],
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

    /// Combines the plain and the stored digests.
    pub(super) fn combine(&self, stored: StoredDigest) -> Digests {
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
        self.size += to_u64(bytes.len());
        self.sha256.update(bytes);
    }
}
