//! The encryption of a stored file: `salt ‖ IV ‖ ciphertext ‖ tag`, one AES-GCM message.

use std::io::{self, BufRead, Read};

use super::digest::{DigestKind, StoredHash};
use crate::crypto::gcm::{Decryptor, Encryptor};
use crate::crypto::{self, IV_LENGTH, MasterKey, SALT_LENGTH, TAG_LENGTH};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::{Encryption, first, first_mut, read_some};

/// Bytes that are read from the file at once.
const BUFFER_SIZE: usize = 256 << 10;

/// The length of salt and IV, bytes.
pub(super) const HEADER_LENGTH: usize = SALT_LENGTH + IV_LENGTH;

/// Starts the encryption of a file: returns the encryptor and the header before the ciphertext.
/// Every file has its own salt and so its own key.
pub(super) fn encryptor(
    encryption: Encryption,
    key: Option<&MasterKey>,
) -> Result<Option<(Encryptor, [u8; HEADER_LENGTH])>> {
    if encryption == Encryption::None {
        return Ok(None);
    }
    let mut header = [0; HEADER_LENGTH];
    crypto::fill_random(&mut header)?;
    let (salt, iv) = split_header(&header);
    let key = require_key(key)?.container_key(&salt, encryption)?;
    Ok(Some((Encryptor::new(&key, &iv)?, header)))
}

/// Reads and decrypts a stored file. The end is reported only after the tag was verified.
pub(super) struct DecryptingReader {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// The decrypted range of `buffer` that was not consumed yet.
    ready: std::ops::Range<usize>,
    /// The end of the bytes read into `buffer`; those after `ready` may be the tag.
    filled: usize,
    decryptor: Option<Decryptor>,
    digest: Box<StoredHash>,
    ended: bool,
}

impl DecryptingReader {
    pub(super) fn new(
        mut input: Box<dyn Read + Send>,
        encryption: Encryption,
        key: Option<&MasterKey>,
        kind: DigestKind,
    ) -> Result<DecryptingReader> {
        let mut digest = Box::new(StoredHash::new(kind));
        let mut decryptor = None;
        if encryption != Encryption::None {
            let key = require_key(key)?;
            let mut header = [0; HEADER_LENGTH];
            input.read_exact(&mut header).map_err(truncated_error)?;
            digest.update(&header);
            let (salt, iv) = split_header(&header);
            let key = key.container_key(&salt, encryption)?;
            decryptor = Some(Decryptor::new(&key, &iv)?);
        }
        Ok(DecryptingReader {
            input,
            buffer: vec![0; BUFFER_SIZE],
            ready: 0..0,
            filled: 0,
            decryptor,
            digest,
            ended: false,
        })
    }

    /// The digest of all bytes read from the file.
    pub(super) fn into_digest(self) -> StoredHash {
        *self.digest
    }

    /// Reads until decrypted bytes are ready, or the file ends.
    fn fill(&mut self) -> io::Result<()> {
        while self.ready.is_empty() && !self.ended {
            let carried = self.filled - self.ready.end;
            self.buffer.copy_within(self.ready.end..self.filled, 0);
            self.ready = 0..0;
            self.filled = carried;
            let room = self.buffer.split_at_mut(carried).1;
            let read = read_some(&mut self.input, room)?;
            self.digest.update(read);
            self.filled += read.len();
            if read.is_empty() {
                self.end()?;
            } else {
                self.decrypt()?;
            }
        }
        Ok(())
    }

    /// Decrypts what was read, except for the last bytes, which may be the tag.
    fn decrypt(&mut self) -> io::Result<()> {
        let Some(decryptor) = &mut self.decryptor else {
            self.ready = 0..self.filled;
            return Ok(());
        };
        let end = self.filled.saturating_sub(TAG_LENGTH);
        let data = first_mut(&mut self.buffer, end);
        decryptor.update_in_place(data).map_err(io::Error::other)?;
        self.ready = 0..end;
        Ok(())
    }

    /// Verifies the AES-GCM tag.
    fn end(&mut self) -> io::Result<()> {
        self.ended = true;
        if let Some(decryptor) = self.decryptor.take() {
            let tag = first(&self.buffer, self.filled);
            let tag = tag.try_into().map_err(|_| truncated_error(eof()))?;
            decryptor
                .finish(tag)
                .map_err(|failure| io::Error::new(io::ErrorKind::InvalidData, failure))?;
        }
        self.filled = 0;
        Ok(())
    }
}

impl BufRead for DecryptingReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill()?;
        Ok(self.buffer.get(self.ready.clone()).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.ready.start = (self.ready.start + count).min(self.ready.end);
    }
}

impl Read for DecryptingReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }
}

fn require_key(key: Option<&MasterKey>) -> Result<&MasterKey> {
    key.ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "the file is encrypted, but no key was given",
        )
    })
}

pub(super) fn split_header(header: &[u8; HEADER_LENGTH]) -> ([u8; SALT_LENGTH], [u8; IV_LENGTH]) {
    let (mut salt, mut iv) = ([0; SALT_LENGTH], [0; IV_LENGTH]);
    let mut bytes = header.iter().copied();
    salt.iter_mut()
        .chain(iv.iter_mut())
        .for_each(|to| *to = bytes.next().unwrap_or(0));
    (salt, iv)
}

fn eof() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// Explains the end of a file that is shorter than an empty encrypted one.
fn truncated_error(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file is truncated: it is too short to be encrypted",
        )
    } else {
        error
    }
}
