//! Writing one stored file from its frames.

use std::io::Write;

use super::cipher::encryptor;
use super::digest::StoredDigest;
use super::{Coding, Digests, PlainDigest};
use crate::crypto::gcm::Encryptor;
use crate::error::Result;

/// How much is encrypted and hashed at a time, so that the hash finds it in the cache.
const PIECE: usize = 64 << 10;

/// One stored file: frames come in order, are encrypted, digested and written. The file is complete only after
/// [`Sink::finish`].
#[must_use = "a stored file without its end cannot be read"]
pub struct Sink<W: Write> {
    stored: W,
    encryptor: Option<Encryptor>,
    digest: StoredDigest,
}

impl<W: Write> Sink<W> {
    /// Begins a file.
    pub fn new(stored: W, coding: &Coding) -> Result<Sink<W>> {
        let mut sink = Sink {
            stored,
            encryptor: None,
            digest: StoredDigest::default(),
        };
        if let Some((encryptor, header)) = encryptor(coding.encryption, coding.key.as_deref())? {
            sink.digest.update(&header);
            sink.stored.write_all(&header)?;
            sink.encryptor = Some(encryptor);
        }
        Ok(sink)
    }

    /// Writes a frame; it is encrypted in place.
    pub fn write(&mut self, frame: &mut [u8]) -> Result<()> {
        for piece in frame.chunks_mut(PIECE) {
            if let Some(encryptor) = &mut self.encryptor {
                encryptor.update_in_place(piece)?;
            }
            self.digest.update(piece);
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
        Ok((self.stored, plain.with(self.digest)))
    }
}
