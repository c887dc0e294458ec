//! AES in Galois/Counter Mode as a stream (NIST SP 800-38D), without associated data.
//!
//! The ciphertext is as long as the plain text, so both can be done in place. What a [`Decryptor`] hands out is
//! proven only by [`Decryptor::finish`].

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;

use super::Secret;
use super::random::failed;
use crate::error::{Failure, Kind, Result};

/// The length of an initialisation vector in bytes.
pub const IV_LENGTH: usize = 12;

/// The length of a tag in bytes.
pub const TAG_LENGTH: usize = 16;

/// The most bytes under one key and IV: 2^39 - 256 bits (NIST SP 800-38D, 5.2.1.1).
const LIMIT: u64 = (1 << 36) - 32;

/// The most bytes that OpenSSL is given at once: it counts in an `int`.
const PIECE: usize = 1 << 30;

/// Encrypts a stream.
pub struct Encryptor(Stream);

impl Encryptor {
    /// Begins a stream; the length of `key` (32, 24 or 16 bytes) says which AES it is. A pair of key and IV must
    /// never be used twice.
    pub fn new(key: &Secret, iv: &[u8; IV_LENGTH]) -> Result<Encryptor> {
        let mut context = context()?;
        context
            .encrypt_init(Some(cipher(key)?), Some(key.expose()), Some(iv))
            .map_err(|error| failed("begin to encrypt", &error))?;
        Ok(Encryptor(Stream { context, done: 0 }))
    }

    /// Encrypts `plain` and appends the ciphertext to `output`.
    pub fn update(&mut self, plain: &[u8], output: &mut Vec<u8>) -> Result<()> {
        self.0.update(plain, output)
    }

    /// Encrypts `data` where it is.
    pub fn update_in_place(&mut self, data: &mut [u8]) -> Result<()> {
        self.0.update_in_place(data)
    }

    /// Ends the stream; the tag goes behind the ciphertext.
    pub fn finish(mut self) -> Result<[u8; TAG_LENGTH]> {
        let mut tag = [0; TAG_LENGTH];
        self.0
            .context
            .cipher_final(&mut [])
            .and_then(|_| self.0.context.tag(&mut tag))
            .map_err(|error| failed("end the encryption", &error))?;
        Ok(tag)
    }
}

/// Decrypts a stream.
pub struct Decryptor(Stream);

impl Decryptor {
    /// Begins a stream with the key and the IV that it was encrypted with.
    pub fn new(key: &Secret, iv: &[u8; IV_LENGTH]) -> Result<Decryptor> {
        let mut context = context()?;
        context
            .decrypt_init(Some(cipher(key)?), Some(key.expose()), Some(iv))
            .map_err(|error| failed("begin to decrypt", &error))?;
        Ok(Decryptor(Stream { context, done: 0 }))
    }

    /// Decrypts `ciphertext` and appends the plain bytes to `output`. They are not proven yet.
    pub fn update(&mut self, ciphertext: &[u8], output: &mut Vec<u8>) -> Result<()> {
        self.0.update(ciphertext, output)
    }

    /// Decrypts `data` where it is. The bytes are not proven yet.
    pub fn update_in_place(&mut self, data: &mut [u8]) -> Result<()> {
        self.0.update_in_place(data)
    }

    /// Ends the stream: [`Kind::Corrupt`] if the tag does not fit, because a byte was changed or the key is another.
    pub fn finish(mut self, tag: &[u8; TAG_LENGTH]) -> Result<()> {
        self.0
            .context
            .set_tag(tag)
            .map_err(|error| failed("end the decryption", &error))?;
        match self.0.context.cipher_final(&mut []) {
            Ok(_) => Ok(()),
            Err(_) => Err(Failure::new(
                Kind::Corrupt,
                "the authentication tag does not fit: the key is another one, or the bytes were changed",
            )),
        }
    }
}

struct Stream {
    context: CipherCtx,
    done: u64,
}

impl Stream {
    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        let from = output.len();
        output.extend_from_slice(input);
        self.update_in_place(output.get_mut(from..).unwrap_or_default())
    }

    fn update_in_place(&mut self, data: &mut [u8]) -> Result<()> {
        self.done = self
            .done
            .saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if self.done > LIMIT {
            return Err(Failure::new(
                Kind::Io,
                format!("AES-GCM is limited to {LIMIT} bytes a file"),
            )
            .hint("a file of this size cannot be encrypted; set encryption = none"));
        }
        for piece in data.chunks_mut(PIECE) {
            let length = piece.len();
            self.context
                .cipher_update_inplace(piece, length)
                .map_err(|error| failed("encrypt or decrypt", &error))?;
        }
        Ok(())
    }
}

fn context() -> Result<CipherCtx> {
    CipherCtx::new().map_err(|error| failed("make a cipher context", &error))
}

fn cipher(key: &Secret) -> Result<&'static CipherRef> {
    match key.expose().len() {
        32 => Ok(Cipher::aes_256_gcm()),
        24 => Ok(Cipher::aes_192_gcm()),
        16 => Ok(Cipher::aes_128_gcm()),
        length => Err(Failure::new(
            Kind::Internal,
            format!("{length} bytes are no AES key"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 4 without associated data is test case 3 of the GCM specification (McGrew and Viega, appendix B).
    #[test]
    fn agrees_with_the_specification() {
        let key = Secret::new(unhex("feffe9928665731c6d6a8f9467308308"));
        let iv: [u8; 12] = unhex("cafebabefacedbaddecaf888").try_into().unwrap();
        let plain = unhex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
        );
        let expected = unhex(
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",
        );
        let mut encryptor = Encryptor::new(&key, &iv).unwrap();
        let mut ciphertext = Vec::new();
        for piece in plain.chunks(7) {
            encryptor.update(piece, &mut ciphertext).unwrap();
        }
        assert_eq!(ciphertext, expected);
        let tag = encryptor.finish().unwrap();
        assert_eq!(tag.to_vec(), unhex("4d5c2af327cd64a62cf35abd2ba6fab4"));

        let mut decryptor = Decryptor::new(&key, &iv).unwrap();
        decryptor.update_in_place(&mut ciphertext).unwrap();
        assert_eq!(ciphertext, plain);
        decryptor.finish(&tag).unwrap();
    }

    #[test]
    fn a_changed_byte_is_noticed_at_the_end() {
        let key = Secret::new(vec![7; 32]);
        let iv = [9; IV_LENGTH];
        let mut encryptor = Encryptor::new(&key, &iv).unwrap();
        let mut data = b"hello".to_vec();
        encryptor.update_in_place(&mut data).unwrap();
        let tag = encryptor.finish().unwrap();
        data[2] ^= 1;
        let mut decryptor = Decryptor::new(&key, &iv).unwrap();
        decryptor.update_in_place(&mut data).unwrap();
        assert_eq!(decryptor.finish(&tag).unwrap_err().kind(), Kind::Corrupt);
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        assert!(Encryptor::new(&Secret::new(vec![0; 31]), &[0; IV_LENGTH]).is_err());
    }

    fn unhex(text: &str) -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }
}
