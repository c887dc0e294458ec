//! The encryption of a stored file: `salt ‖ IV ‖ ciphertext ‖ tag`, one AES-GCM message.

use std::fs::File;
use std::io::{self, BufRead, Read};

use super::digest::StoredDigest;
use crate::crypto::gcm::{Decryptor, Encryptor};
use crate::crypto::{self, IV_LENGTH, MasterKey, SALT_LENGTH, TAG_LENGTH};
use crate::error::{Failure, Kind, Result};
use crate::unit::Encryption;

/// How many bytes are read from a file at once.
const BUFFER: usize = 256 << 10;

/// Salt and IV.
pub(super) const HEADER: usize = SALT_LENGTH + IV_LENGTH;

/// Begins to encrypt a file: the encryptor, and the bytes that come before the ciphertext. Every file has its own
/// salt and so its own key.
pub(super) fn encryptor(
    encryption: Encryption,
    key: Option<&MasterKey>,
) -> Result<Option<(Encryptor, [u8; HEADER])>> {
    if encryption == Encryption::None {
        return Ok(None);
    }
    let mut header = [0; HEADER];
    crypto::fill(&mut header)?;
    let (salt, iv) = split(&header);
    let key = needed(key)?.container_key(&salt, encryption)?;
    Ok(Some((Encryptor::new(&key, &iv)?, header)))
}

/// The bytes of a stored file behind its encryption. Its end is reported only after the tag was checked.
pub(super) struct Input {
    file: File,
    buffer: Vec<u8>,
    /// What of `buffer` is decrypted and was not taken yet.
    ready: std::ops::Range<usize>,
    /// Where in `buffer` the bytes end that were read; behind `ready` lies what may be the tag.
    filled: usize,
    decryptor: Option<Decryptor>,
    digest: StoredDigest,
    ended: bool,
}

impl Input {
    pub(super) fn new(
        mut file: File,
        encryption: Encryption,
        key: Option<&MasterKey>,
    ) -> Result<Input> {
        let mut digest = StoredDigest::default();
        let mut decryptor = None;
        if encryption != Encryption::None {
            let key = needed(key)?;
            let mut header = [0; HEADER];
            file.read_exact(&mut header).map_err(short)?;
            digest.update(&header);
            let (salt, iv) = split(&header);
            let key = key.container_key(&salt, encryption)?;
            decryptor = Some(Decryptor::new(&key, &iv)?);
        }
        Ok(Input {
            file,
            buffer: vec![0; BUFFER],
            ready: 0..0,
            filled: 0,
            decryptor,
            digest,
            ended: false,
        })
    }

    /// The digest of all that was read.
    pub(super) fn into_digest(self) -> StoredDigest {
        self.digest
    }

    /// Reads until there is something to take, or the file ends.
    fn fill(&mut self) -> io::Result<()> {
        while self.ready.is_empty() && !self.ended {
            let held = self.filled - self.ready.end;
            self.buffer.copy_within(self.ready.end..self.filled, 0);
            self.ready = 0..0;
            self.filled = held;
            let room = self.buffer.get_mut(held..).unwrap_or_default();
            let count = match self.file.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            self.digest.update(room.get(..count).unwrap_or_default());
            self.filled += count;
            if count == 0 {
                self.end()?;
            } else {
                self.decrypt()?;
            }
        }
        Ok(())
    }

    /// Makes ready what was read, but for the last bytes, which may be the tag.
    fn decrypt(&mut self) -> io::Result<()> {
        let Some(decryptor) = &mut self.decryptor else {
            self.ready = 0..self.filled;
            return Ok(());
        };
        let end = self.filled.saturating_sub(TAG_LENGTH);
        let data = self.buffer.get_mut(..end).unwrap_or_default();
        decryptor.update_in_place(data).map_err(io::Error::other)?;
        self.ready = 0..end;
        Ok(())
    }

    /// Checks the tag.
    fn end(&mut self) -> io::Result<()> {
        self.ended = true;
        if let Some(decryptor) = self.decryptor.take() {
            let tag = self.buffer.get(..self.filled).unwrap_or_default();
            let tag = tag.try_into().map_err(|_| short(eof()))?;
            decryptor
                .finish(tag)
                .map_err(|failure| io::Error::new(io::ErrorKind::InvalidData, failure))?;
        }
        self.filled = 0;
        Ok(())
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill()?;
        Ok(self.buffer.get(self.ready.clone()).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        self.ready.start = (self.ready.start + count).min(self.ready.end);
    }
}

impl Read for Input {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buf)?;
        self.consume(count);
        Ok(count)
    }
}

fn needed(key: Option<&MasterKey>) -> Result<&MasterKey> {
    key.ok_or_else(|| {
        Failure::new(
            Kind::Internal,
            "the file is encrypted, but no key was given",
        )
    })
}

pub(super) fn split(header: &[u8; HEADER]) -> ([u8; SALT_LENGTH], [u8; IV_LENGTH]) {
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

/// Says what it means that a file is shorter than an empty encrypted one.
fn short(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the file is truncated: it is too short to be encrypted",
        )
    } else {
        error
    }
}
