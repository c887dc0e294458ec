//! Writing a stored file from its frames.

use std::io::Write;

use super::cipher::encryptor;
use super::digest::StoredDigest;
use super::{Digests, EncodeOptions, PlainDigest};
use crate::crypto::gcm::Encryptor;
use crate::error::Result;

/// Bytes that are encrypted and hashed at a time, so that the hash finds them in the CPU cache.
const BLOCK_SIZE: usize = 64 << 10;

/// Writes a stored file: frames are encrypted, digested and written in order. The file is complete
/// only after [`StoredWriter::finish`].
#[must_use = "a stored file without its end cannot be read"]
pub struct StoredWriter<W: Write> {
    stored: W,
    encryptor: Option<Encryptor>,
    digest: StoredDigest,
}

impl<W: Write> StoredWriter<W> {
    /// Writes the encryption header, if there is one.
    pub fn new(stored: W, options: &EncodeOptions) -> Result<StoredWriter<W>> {
        let mut writer = StoredWriter {
            stored,
            encryptor: None,
            digest: StoredDigest::default(),
        };
        if let Some((encryptor, header)) = encryptor(options.encryption, options.key.as_deref())? {
            writer.digest.update(&header);
            writer.stored.write_all(&header)?;
            writer.encryptor = Some(encryptor);
        }
        Ok(writer)
    }

    /// Writes a frame; it is encrypted in place.
    pub fn write(&mut self, frame: &mut [u8]) -> Result<()> {
        for block in frame.chunks_mut(BLOCK_SIZE) {
            if let Some(encryptor) = &mut self.encryptor {
                encryptor.update_in_place(block)?;
            }
            self.digest.update(block);
        }
        Ok(self.stored.write_all(frame)?)
    }

    /// Ends the file, whose plain bytes had the digest `plain`.
    pub fn finish(mut self, plain: &PlainDigest) -> Result<(W, Digests)> {
        if let Some(encryptor) = self.encryptor.take() {
            let tag = encryptor.finish()?;
            self.digest.update(&tag);
            self.stored.write_all(&tag)?;
        }
        Ok((self.stored, plain.combine(self.digest)))
    }
}
