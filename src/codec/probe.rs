//! Detecting the key size of an encrypted file, which its name does not tell.

use std::fs::File;
use std::io::{self, Read, Seek};

use super::cipher::{DecryptingReader, HEADER_LENGTH, split_header};
use super::{Compression, DigestKind, StoredFormat, Suffixes};
use crate::crypto::gcm::Decryptor;
use crate::crypto::{MasterKey, TAG_LENGTH};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::{Encryption, first, read_full};

/// Plain bytes that are checked.
const PROBE_LENGTH: usize = 64;

/// Whether plain bytes are a valid start of the expected content.
pub type StartCheck<'r> = &'r dyn Fn(&[u8]) -> bool;

/// The format of `file`, whose name has `suffixes`; the file is rewound.
///
/// One suffix stands for three key sizes. The start of the file is decrypted with each of them; the
/// result must be the start of a compressed file, or be accepted by `begins` if the file is not
/// compressed. If that is ambiguous, the whole file is decrypted and the tag decides.
/// [`ErrorKind::Corrupt`] if no size fits.
pub(super) fn probe(
    file: &mut File,
    suffixes: Suffixes,
    key: &MasterKey,
    begins: StartCheck<'_>,
) -> Result<StoredFormat> {
    let compression = suffixes.compression;
    let stored = |encryption| StoredFormat {
        compression,
        encryption,
    };
    if !suffixes.encrypted {
        return Ok(stored(Encryption::None));
    }
    let sizes = Encryption::ALL
        .into_iter()
        .filter(|size| *size != Encryption::None);
    let mut fitting = Vec::new();
    for size in sizes.clone() {
        if let Some(plain) = decrypt_start(file, key, size)?
            && has_expected_start(&plain, compression, begins)
        {
            fitting.push(size);
        }
    }
    if let [only] = fitting[..] {
        return Ok(stored(only));
    }
    if fitting.is_empty() {
        fitting = sizes.collect();
    }
    for size in fitting {
        if tag_matches(file, key, size)? {
            return Ok(stored(size));
        }
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        "it does not decrypt with the master key under any size of key: its bytes were changed, \
         or it was encrypted with another master key",
    ))
}

/// The first plain bytes, decrypted with this key size; `None` if the file is too short to have
/// any.
fn decrypt_start(file: &mut File, key: &MasterKey, size: Encryption) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; HEADER_LENGTH + PROBE_LENGTH + TAG_LENGTH];
    file.rewind()?;
    let bytes = read_full(file, &mut bytes)?;
    file.rewind()?;
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LENGTH>() else {
        return Ok(None);
    };
    let length = rest.len().saturating_sub(TAG_LENGTH);
    let mut plain = first(rest, length).to_vec();
    if plain.is_empty() {
        return Ok(None);
    }
    let (salt, iv) = split_header(header);
    let mut decryptor = Decryptor::new(&key.container_key(&salt, size)?, &iv)?;
    decryptor.update_in_place(&mut plain)?;
    Ok(Some(plain))
}

/// Whether plain bytes start as the compression method or `begins` requires.
fn has_expected_start(plain: &[u8], compression: Compression, begins: StartCheck<'_>) -> bool {
    if compression == Compression::None {
        begins(plain)
    } else {
        (compression.method().is_start)(plain)
    }
}

/// Whether the tag is valid for this key size; reads the whole file.
fn tag_matches(file: &mut File, key: &MasterKey, size: Encryption) -> Result<bool> {
    file.rewind()?;
    let clone = Box::new(file.try_clone()?);
    let read = DecryptingReader::new(clone, size, Some(key), DigestKind::Own)
        .and_then(|mut input| Ok(io::copy(&mut input.by_ref(), &mut io::sink())?));
    file.rewind()?;
    match read {
        Ok(_) => Ok(true),
        Err(failure) if failure.kind() == ErrorKind::Corrupt => Ok(false),
        Err(failure) => Err(failure),
    }
}
