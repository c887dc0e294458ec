//! A file of a backup, as the manifest lists it.

use std::path::PathBuf;

use crate::codec::{Digests, StoredFormat};
use crate::error::{Error, ErrorKind, Result};

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

impl ManifestFile {
    /// Checks the digests of what was read against the manifest.
    pub fn check(&self, found: &Digests) -> Result<()> {
        let what = if found.stored_size != self.stored_size {
            "its stored size"
        } else if found.sha256 != self.sha256 {
            "the SHA-256 of its stored bytes"
        } else if found.plain_size != self.size {
            "its size"
        } else if found.blake3 != self.blake3 {
            "its BLAKE3"
        } else if found.crc32c != self.crc32c {
            "its CRC-32C"
        } else {
            return Ok(());
        };
        let stored = self.stored_path.display();
        let message = format!("{what} is not the one in the manifest ({stored} was changed)");
        Err(Error::new(ErrorKind::Corrupt, message)
            .with_hint("`pgmoneta-cli verify` names every bad file; choose another backup"))
    }
}
