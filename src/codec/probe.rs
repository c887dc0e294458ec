//! Finding out how a file is encrypted, which its name does not say.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;

use super::cipher::{HEADER, Input, split};
use super::{Stored, Suffixes};
use crate::crypto::gcm::Decryptor;
use crate::crypto::{MasterKey, TAG_LENGTH};
use crate::error::{Failure, Kind, Result};
use crate::unit::{Compression, Encryption};

/// How many plain bytes are looked at.
const BEGINNING: usize = 64;

/// Whether plain bytes are the beginning of what the file must hold.
pub type Recognize<'r> = &'r dyn Fn(&[u8]) -> bool;

/// How `file` is stored, whose name says `suffixes`; it is to be read from its beginning afterwards.
///
/// One suffix stands for three sizes of key. The beginning of the file is decrypted with each of them, and what comes out
/// must be the beginning of a compressed file, or of what `begins` knows if it is not compressed. Where that does not decide
/// between them, the whole file is decrypted, and its tag does. [`Kind::Corrupt`] if it fits none.
pub(super) fn probe(
    file: &mut File,
    suffixes: Suffixes,
    key: &MasterKey,
    begins: Recognize<'_>,
) -> Result<Stored> {
    let compression = suffixes.compression;
    let stored = |encryption| Stored {
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
        if let Some(plain) = beginning(file, key, size)?
            && recognized(&plain, compression, begins)
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
        if is_proven(file, key, size)? {
            return Ok(stored(size));
        }
    }
    Err(Failure::new(
        Kind::Corrupt,
        "it does not decrypt with the master key under any size of key: its bytes were changed, or it was encrypted with \
         another master key",
    ))
}

/// The first plain bytes, if the file is encrypted with this size of key; `None` of a file without any.
fn beginning(file: &File, key: &MasterKey, size: Encryption) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; HEADER + BEGINNING + TAG_LENGTH];
    let filled = read_at(file, &mut bytes)?;
    bytes.truncate(filled);
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = rest.len().saturating_sub(TAG_LENGTH);
    let mut plain = rest.get(..length).unwrap_or_default().to_vec();
    if plain.is_empty() {
        return Ok(None);
    }
    let (salt, iv) = split(header);
    let mut decryptor = Decryptor::new(&key.container_key(&salt, size)?, &iv)?;
    decryptor.update_in_place(&mut plain)?;
    Ok(Some(plain))
}

fn read_at(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        let offset = u64::try_from(filled).unwrap_or(u64::MAX);
        match file.read_at(room, offset) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Whether a compressed file begins so, or what is not compressed.
fn recognized(plain: &[u8], compression: Compression, begins: Recognize<'_>) -> bool {
    match compression {
        Compression::None => begins(plain),
        // RFC 1952: ID1, ID2, CM.
        Compression::Gzip => plain.starts_with(&[0x1f, 0x8b, 8]),
        // RFC 8878: a frame, or a skippable one.
        Compression::Zstd => {
            plain.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
                || matches!(plain, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
        }
        // lz4_Frame_format.md, or the first length in what the C program writes.
        Compression::Lz4 => {
            plain.starts_with(&[0x04, 0x22, 0x4d, 0x18]) || super::compression::is_lz4_of_c(plain)
        }
        Compression::Bzip2 => matches!(plain, [b'B', b'Z', b'h', b'1'..=b'9', ..]),
    }
}

/// Whether the tag fits; reads all of the file.
fn is_proven(file: &mut File, key: &MasterKey, size: Encryption) -> Result<bool> {
    file.rewind()?;
    let read = Input::new(file.try_clone()?, size, Some(key))
        .and_then(|mut input| Ok(io::copy(&mut input.by_ref(), &mut io::sink())?));
    file.rewind()?;
    match read {
        Ok(_) => Ok(true),
        Err(failure) if failure.kind() == Kind::Corrupt => Ok(false),
        Err(failure) => Err(failure),
    }
}
