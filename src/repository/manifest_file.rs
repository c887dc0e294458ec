//! A file of a backup, as the manifest lists it.

use std::path::PathBuf;

use crate::codec::{Digests, StoredFormat};
use crate::error::{Error, ErrorKind, Result};
use crate::format::hex;

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its path relative to the data directory (`pg_tblspc/<oid>/…` in a tablespace).
    pub path: PathBuf,
    /// The size before compression, bytes.
    pub size: u64,
    /// When it was modified, seconds since 1970 UTC.
    pub modified: i64,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// CRC-32C of the plain bytes.
    pub crc32c: u32,
    /// BLAKE3 of the plain bytes.
    pub blake3: [u8; 32],
    /// The path on disk, relative to the directory of the backup.
    pub stored_path: PathBuf,
    /// The format; `None` for WAL in a backup of version 0.1.0, where only the name tells it.
    pub stored: Option<StoredFormat>,
    /// Bytes on disk, after compression and encryption.
    pub stored_size: u64,
    /// SHA-256 of the stored bytes.
    pub sha256: [u8; 32],
}

/// A digest in the manifest, and that of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestPair {
    /// `SHA256` (of the stored bytes), `CRC32C` or `BLAKE3` (of the plain bytes).
    pub algorithm: &'static str,
    /// The digest in the manifest, hexadecimal.
    pub expected: String,
    /// The digest of the file, hexadecimal.
    pub found: String,
}

impl ManifestFile {
    /// The digests of what was read beside those of the manifest, in the order in which they are
    /// to be compared.
    pub fn digests(&self, found: &Digests) -> [DigestPair; 3] {
        let pair = |algorithm, expected: &[u8], found: &[u8]| DigestPair {
            algorithm,
            expected: hex::encode(expected),
            found: hex::encode(found),
        };
        let crc = |crc: u32| crc.to_be_bytes();
        [
            pair("SHA256", &self.sha256, &found.sha256),
            pair("CRC32C", &crc(self.crc32c), &crc(found.crc32c)),
            pair("BLAKE3", &self.blake3, &found.blake3),
        ]
    }

    /// Checks what was read against the manifest.
    pub fn check(&self, found: &Digests) -> Result<()> {
        let mut digests = self.digests(found).into_iter();
        let what = if found.stored_size != self.stored_size {
            "stored size"
        } else if found.plain_size != self.size {
            "size"
        } else if let Some(pair) = digests.find(|pair| pair.expected != pair.found) {
            pair.algorithm
        } else {
            return Ok(());
        };
        let stored = self.stored_path.display();
        let message = format!("its {what} is not the one in the manifest ({stored} was changed)");
        Err(Error::new(ErrorKind::Corrupt, message)
            .with_hint("`pgmoneta-cli verify` names every bad file; choose another backup"))
    }
}
