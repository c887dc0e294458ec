//! A file of a backup, as the manifest lists it.

use std::path::PathBuf;

use crate::codec::{DigestValues, Digests, OwnDigests, StoredFormat};
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
    /// The path on disk, relative to the directory of the backup.
    pub stored_path: PathBuf,
    /// The format; `None` for WAL in a backup of version 0.1.0, where only the name tells it.
    pub stored: Option<StoredFormat>,
    /// Bytes on disk, after compression and encryption. In a backup of the C program, which does
    /// not record it, that of the file as it was found.
    pub stored_size: u64,
    /// The digests that it must have.
    pub digests: DigestValues,
    /// What it is combined from, in an incremental backup of the C program.
    pub combined: Option<Box<Combined>>,
}

/// What a file of an incremental backup is combined from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Combined {
    /// The files that are stored, of this backup and of older ones, newest first: all but the last
    /// one have changed blocks only.
    pub parts: Vec<ManifestFile>,
    /// Whether their headers may be padded as the C program does (see `IncrementHeader`).
    pub padding_error: bool,
}

/// A digest in the manifest, and that of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestPair {
    /// `SHA256` (of the stored bytes), `CRC32C` or `BLAKE3` (of the plain bytes); in a backup of
    /// the C program `SHA512`, of the stored or of the plain bytes.
    pub algorithm: &'static str,
    /// Whether it is of the stored bytes, not of the plain ones.
    pub of_stored: bool,
    /// The digest in the manifest, hexadecimal.
    pub expected: String,
    /// The digest of the file, hexadecimal.
    pub found: String,
}

impl ManifestFile {
    /// Its sizes and digests in the manifest.
    pub fn recorded(&self) -> Digests {
        Digests {
            plain_size: self.size,
            stored_size: self.stored_size,
            values: self.digests,
        }
    }

    /// The digests of what was read beside those of the manifest, in the order in which they are
    /// to be compared.
    pub fn compare(&self, found: &Digests) -> Result<Vec<DigestPair>> {
        let pair = |(algorithm, of_stored), expected: &[u8], found: &[u8]| DigestPair {
            algorithm,
            of_stored,
            expected: hex::encode(expected),
            found: hex::encode(found),
        };
        let crc = |crc: u32| crc.to_be_bytes();
        match (&self.digests, &found.values) {
            (DigestValues::Own(own), DigestValues::Own(found)) => Ok(vec![
                pair(("SHA256", true), &own.sha256, &found.sha256),
                pair(("CRC32C", false), &crc(own.crc32c), &crc(found.crc32c)),
                pair(("BLAKE3", false), &own.blake3, &found.blake3),
            ]),
            (
                DigestValues::Sha512 { plain, stored },
                DigestValues::Sha512 {
                    plain: found_plain,
                    stored: found_stored,
                },
            ) => {
                let of_stored = stored.zip(*found_stored).into_iter();
                let of_plain = plain.zip(*found_plain).into_iter();
                let stored = of_stored.map(|(own, found)| pair(("SHA512", true), &own, &found));
                let plain = of_plain.map(|(own, found)| pair(("SHA512", false), &own, &found));
                Ok(stored.chain(plain).collect())
            }
            _ => Err(Error::new(
                ErrorKind::Internal,
                "the digests of a file are not those that were recorded",
            )),
        }
    }

    /// The digest that is compared first: its algorithm and its hexadecimal digits, which are empty
    /// if none was recorded.
    pub fn first_digest(&self) -> (&'static str, String) {
        match &self.digests {
            DigestValues::Own(own) => ("SHA256", hex::encode(&own.sha256)),
            DigestValues::Sha512 { plain, stored } => {
                let digits = stored.or(*plain).map(|digest| hex::encode(&digest));
                ("SHA512", digits.unwrap_or_default())
            }
        }
    }

    /// What is stored of it in this backup.
    pub fn own_part(&self) -> &ManifestFile {
        let combined = self.combined.as_ref();
        let part = combined.and_then(|combined| combined.parts.first());
        part.unwrap_or(self)
    }

    /// The digests of a file of a backup of this program.
    pub fn own_digests(&self) -> Result<&OwnDigests> {
        match &self.digests {
            DigestValues::Own(digests) => Ok(digests),
            DigestValues::Sha512 { .. } => Err(Error::new(
                ErrorKind::Internal,
                "a file of a backup of the C program has no digests of this program",
            )),
        }
    }

    /// Checks what was read against the manifest.
    pub fn check(&self, found: &Digests) -> Result<()> {
        let mut digests = self.compare(found)?.into_iter();
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
