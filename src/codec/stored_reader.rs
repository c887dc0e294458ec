//! Reading a stored file.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use super::cipher::DecryptingReader;
use super::compression::FrameReader;
use super::digest::PlainHash;
use super::probe::{StartCheck, probe};
use super::{Compression, DigestKind, Digests, StoredFormat, Suffixes};
use crate::crypto::MasterKey;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage::open_file;
use crate::unit::{Encryption, first, first_mut, to_usize};

/// Reads the plain bytes of a stored file. A truncated file, bytes after its end, or a failed
/// decryption are errors, not the end of the file. A truncation exactly between two frames is not
/// detected here: compare the digests of [`StoredReader::finish`], or the size, with the expected
/// ones. Decrypted bytes are authenticated only by the end of the file or by
/// [`StoredReader::finish`].
pub struct StoredReader {
    frames: Box<dyn FrameReader>,
    digest: PlainHash,
    stored: StoredFormat,
    /// Limit for plain bytes.
    max_size: u64,
    /// Up to this size zeros follow the end of the file.
    zeros_up_to: u64,
}

const TOO_LONG: &str = "the file is longer than it must be";

impl StoredReader {
    /// Opens a stored file whose format is known.
    pub fn open(
        path: &Path,
        stored: StoredFormat,
        key: Option<Arc<MasterKey>>,
    ) -> Result<StoredReader> {
        StoredReader::open_hashing(path, stored, key, DigestKind::Own)
    }

    /// As [`StoredReader::open`], and computes the digests of `kind`.
    pub fn open_hashing(
        path: &Path,
        stored: StoredFormat,
        key: Option<Arc<MasterKey>>,
        kind: DigestKind,
    ) -> Result<StoredReader> {
        let action = || format!("open {}", path.display());
        let file = open_file(path).with_context(action)?;
        StoredReader::hashing(file, stored, key, kind).with_context(action)
    }

    /// As [`StoredReader::open`], and detects the key size, which the name does not tell. If the
    /// file is encrypted but not compressed, `begins` checks the start of its content.
    pub fn probe(
        path: &Path,
        suffixes: Suffixes,
        key: &Arc<MasterKey>,
        begins: StartCheck<'_>,
    ) -> Result<StoredReader> {
        let action = || format!("open {}", path.display());
        let mut file = open_file(path).with_context(action)?;
        let stored = probe(&mut file, suffixes, key, begins).with_context(action)?;
        StoredReader::new(file, stored, Some(key.clone())).with_context(action)
    }

    /// Limits the plain bytes: more are an error as soon as they are decoded. A few stored bytes
    /// can decompress to very many.
    #[must_use]
    pub fn with_max_size(mut self, max_size: u64) -> StoredReader {
        self.max_size = max_size;
        self
    }

    /// A plain file that is shorter is read as if zeros followed up to `size` bytes.
    #[must_use]
    pub fn with_zeros_up_to(mut self, size: u64) -> StoredReader {
        self.zeros_up_to = size;
        self
    }

    /// The format, with the detected key size.
    pub fn stored(&self) -> StoredFormat {
        self.stored
    }

    /// As [`StoredReader::open`], from an open file or other stored bytes.
    pub fn new(
        file: impl Read + Send + 'static,
        stored: StoredFormat,
        key: Option<Arc<MasterKey>>,
    ) -> Result<StoredReader> {
        StoredReader::hashing(file, stored, key, DigestKind::Own)
    }

    fn hashing(
        file: impl Read + Send + 'static,
        stored: StoredFormat,
        key: Option<Arc<MasterKey>>,
        kind: DigestKind,
    ) -> Result<StoredReader> {
        let file = Box::new(file);
        let input = DecryptingReader::new(file, stored.encryption, key.as_deref(), kind)?;
        StoredReader::decompressing(input, stored, kind)
    }

    fn decompressing(
        input: DecryptingReader,
        stored: StoredFormat,
        kind: DigestKind,
    ) -> Result<StoredReader> {
        Ok(StoredReader {
            frames: (stored.compression.coder().decompress)(input)?,
            digest: PlainHash::new(kind),
            stored,
            max_size: u64::MAX,
            zeros_up_to: 0,
        })
    }

    /// Opens a file that begins with plain bytes: `begin` reads those, and says how the bytes after
    /// them are compressed. Only these are read by [`Read`]; the digest is of the whole file.
    pub fn after_beginning(
        file: File,
        begin: impl FnOnce(&mut dyn BufRead) -> Compression,
    ) -> Result<StoredReader> {
        let kind = DigestKind::Own;
        let file = Box::new(file);
        let mut input = DecryptingReader::new(file, Encryption::None, None, kind)?;
        let stored = StoredFormat {
            compression: begin(&mut input),
            encryption: Encryption::None,
        };
        StoredReader::decompressing(input, stored, kind)
    }

    /// Call it after the last byte was read: checks that none is left, verifies the tag, and
    /// returns the digests.
    pub fn finish(mut self) -> Result<Digests> {
        if self.frames.read(&mut [0])? > 0 {
            return Err(Error::new(ErrorKind::Corrupt, TOO_LONG));
        }
        let internal = |what: &str| Error::new(ErrorKind::Internal, what);
        let input = self.frames.into_input();
        let input = input.ok_or_else(|| internal("a file that could not be read was finished"))?;
        let digests = self.digest.combine(input.into_digest());
        digests.ok_or_else(|| internal("the digests of a file are of two kinds"))
    }
}

impl Read for StoredReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut count = self.frames.read(buf)?;
        if count == 0 {
            // The reader of the frames does not go on after its end, even if the file grows.
            let zeros = self.zeros_up_to.saturating_sub(self.digest.size());
            count = to_usize(zeros).min(buf.len());
            first_mut(buf, count).fill(0);
        }
        self.digest.update(first(buf, count));
        if self.digest.size() > self.max_size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TOO_LONG));
        }
        Ok(count)
    }
}
