//! Streaming AES in Galois/Counter Mode (NIST SP 800-38D), without associated data.
//!
//! The ciphertext has the length of the plaintext, so both directions work in place. The output of
//! a [`Decryptor`] is authenticated only once [`Decryptor::finish`] succeeds.

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;

use super::Secret;
use super::random::openssl_error;
use crate::error::{Error, ErrorKind, Result};
use crate::unit::to_u64;

/// The length of an initialisation vector in bytes.
pub const IV_LENGTH: usize = 12;

/// The length of an authentication tag in bytes.
pub const TAG_LENGTH: usize = 16;

/// The maximum length in bytes for one key and IV: 2^39 - 256 bits (NIST SP 800-38D, 5.2.1.1).
pub const MAX_LENGTH: u64 = (1 << 36) - 32;

/// The maximum length in bytes of one call of OpenSSL, whose lengths are of type `int`.
const MAX_UPDATE: usize = 1 << 30;

/// The encryption of one stream.
pub struct Encryptor(Stream);

impl Encryptor {
    /// Starts a stream; the length of `key` (32, 24 or 16 bytes) selects AES-256, AES-192 or
    /// AES-128. A pair of key and IV must never be used twice.
    pub fn new(key: &Secret, iv: &[u8; IV_LENGTH]) -> Result<Encryptor> {
        let mut context = context()?;
        context
            .encrypt_init(Some(cipher(key)?), Some(key.expose()), Some(iv))
            .map_err(|error| openssl_error("start the encryption", &error))?;
        Ok(Encryptor(Stream {
            context,
            processed: 0,
        }))
    }

    /// Encrypts `plain` and appends the ciphertext to `output`.
    pub fn update(&mut self, plain: &[u8], output: &mut Vec<u8>) -> Result<()> {
        self.0.update(plain, output)
    }

    /// Encrypts `data` in place.
    pub fn update_in_place(&mut self, data: &mut [u8]) -> Result<()> {
        self.0.update_in_place(data)
    }

    /// Finishes the stream and returns the tag, which is stored after the ciphertext.
    pub fn finish(mut self) -> Result<[u8; TAG_LENGTH]> {
        let mut tag = [0; TAG_LENGTH];
        self.0
            .context
            .cipher_final(&mut [])
            .and_then(|_| self.0.context.tag(&mut tag))
            .map_err(|error| openssl_error("finish the encryption", &error))?;
        Ok(tag)
    }
}

/// The decryption of one stream.
pub struct Decryptor(Stream);

impl Decryptor {
    /// Starts a stream with the key and the IV of its encryption.
    pub fn new(key: &Secret, iv: &[u8; IV_LENGTH]) -> Result<Decryptor> {
        let mut context = context()?;
        context
            .decrypt_init(Some(cipher(key)?), Some(key.expose()), Some(iv))
            .map_err(|error| openssl_error("start the decryption", &error))?;
        Ok(Decryptor(Stream {
            context,
            processed: 0,
        }))
    }

    /// Decrypts `data` in place. The plaintext is not yet authenticated.
    pub fn update_in_place(&mut self, data: &mut [u8]) -> Result<()> {
        self.0.update_in_place(data)
    }

    /// Finishes the stream. Fails with [`ErrorKind::Corrupt`] if the tag does not match, because
    /// data was changed or another key was used.
    pub fn finish(mut self, tag: &[u8; TAG_LENGTH]) -> Result<()> {
        self.0
            .context
            .set_tag(tag)
            .map_err(|error| openssl_error("finish the decryption", &error))?;
        match self.0.context.cipher_final(&mut []) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::new(
                ErrorKind::Corrupt,
                "the authentication tag does not match: the key is another one, or the data was \
                 changed",
            )),
        }
    }
}

struct Stream {
    context: CipherCtx,
    processed: u64,
}

impl Stream {
    fn update(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<()> {
        let from = output.len();
        output.extend_from_slice(input);
        self.update_in_place(output.get_mut(from..).unwrap_or_default())
    }

    fn update_in_place(&mut self, data: &mut [u8]) -> Result<()> {
        self.processed = self.processed.saturating_add(to_u64(data.len()));
        if self.processed > MAX_LENGTH {
            return Err(Error::new(
                ErrorKind::Io,
                format!("AES-GCM is limited to {MAX_LENGTH} bytes per file"),
            )
            .with_hint("a file of this size cannot be encrypted; set encryption = none"));
        }
        for piece in data.chunks_mut(MAX_UPDATE) {
            let length = piece.len();
            self.context
                .cipher_update_inplace(piece, length)
                .map_err(|error| openssl_error("encrypt or decrypt", &error))?;
        }
        Ok(())
    }
}

fn context() -> Result<CipherCtx> {
    CipherCtx::new().map_err(|error| openssl_error("create a cipher context", &error))
}

fn cipher(key: &Secret) -> Result<&'static CipherRef> {
    match key.expose().len() {
        32 => Ok(Cipher::aes_256_gcm()),
        24 => Ok(Cipher::aes_192_gcm()),
        16 => Ok(Cipher::aes_128_gcm()),
        length => Err(Error::new(
            ErrorKind::Internal,
            format!("an AES key cannot have {length} bytes"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 4 without associated data is test case 3 of the GCM specification (McGrew and
    /// Viega, appendix B).
    #[test]
    fn the_test_vector_of_the_specification_is_encrypted_and_decrypted() {
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
    fn a_changed_byte_is_detected_by_the_tag() {
        let key = Secret::new(vec![7; 32]);
        let iv = [9; IV_LENGTH];
        let mut encryptor = Encryptor::new(&key, &iv).unwrap();
        let mut data = b"hello".to_vec();
        encryptor.update_in_place(&mut data).unwrap();
        let tag = encryptor.finish().unwrap();
        data[2] ^= 1;
        let mut decryptor = Decryptor::new(&key, &iv).unwrap();
        decryptor.update_in_place(&mut data).unwrap();
        assert_eq!(
            decryptor.finish(&tag).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
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
