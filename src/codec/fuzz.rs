//! Stored files and compressed messages.

#![allow(clippy::unwrap_used)] // as in tests

use std::io::{self, Cursor, Read};
use std::sync::{Arc, OnceLock};

use super::{Compression, StoredFormat, StoredReader, decompress_message};
use crate::crypto::MasterKey;
use crate::unit::{Encryption, to_u64};

/// The most plain bytes that are accepted.
const MAX_PLAIN: usize = 1 << 20;

/// The first byte is the format, the others are the stored bytes or a message.
pub fn stored(input: &[u8]) {
    let Some((format, bytes)) = input.split_first() else {
        return;
    };
    let mut methods = Compression::ALL.into_iter().cycle();
    let compression = methods.nth(usize::from(format & 7)).unwrap();
    let mut ciphers = Encryption::ALL.into_iter().cycle();
    let encryption = ciphers.nth(usize::from(format >> 3 & 3)).unwrap();
    let stored = StoredFormat {
        compression,
        encryption,
    };
    match format >> 6 {
        0 => file(stored, bytes.to_vec()),
        // As an attacker who has the key would write it.
        1 if encryption != Encryption::None => {
            file(stored, key().seal(bytes, encryption).unwrap());
        }
        1 => file(stored, bytes.to_vec()),
        _ => {
            if let Ok(plain) = decompress_message(bytes, compression, MAX_PLAIN) {
                assert!(
                    plain.len() <= MAX_PLAIN.max(bytes.len()),
                    "a message is too long"
                );
            }
        }
    }
}

fn key() -> Arc<MasterKey> {
    static KEY: OnceLock<Arc<MasterKey>> = OnceLock::new();
    Arc::clone(KEY.get_or_init(|| Arc::new(MasterKey::for_tests(1))))
}

fn file(stored: StoredFormat, bytes: Vec<u8>) {
    let whole = read(stored, bytes.clone(), 64 << 10).ok();
    if let Some(plain) = &whole {
        assert!(plain.len() <= MAX_PLAIN, "more than the limit");
        // The same in small pieces.
        let small = plain.len() <= 4096;
        assert!(!small || read(stored, bytes, 7).ok() == whole);
    }
}

fn read(stored: StoredFormat, bytes: Vec<u8>, piece: usize) -> io::Result<Vec<u8>> {
    let reader = StoredReader::new(Cursor::new(bytes), stored, Some(key()))?;
    let mut reader = reader.with_max_size(to_u64(MAX_PLAIN));
    let mut plain = Vec::new();
    let mut buffer = vec![0; piece];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        plain.extend(buffer.iter().take(count));
        assert!(plain.len() <= MAX_PLAIN, "more than the limit");
    }
    let digests = reader.finish()?;
    assert_eq!(digests.plain_size, to_u64(plain.len()));
    Ok(plain)
}
