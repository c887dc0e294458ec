//! The master key, and the keys that are derived from it.

use std::num::NonZeroU32;

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use ring::pbkdf2;

use super::Secret;
use super::gcm::{Decryptor, Encryptor, IV_LENGTH, TAG_LENGTH};
use super::random::{fill_random, openssl_error};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::Encryption;

/// The length in bytes of the salt of the master key and of a container.
pub const SALT_LENGTH: usize = 16;

/// The difference in bytes between the lengths of a container and its plaintext.
pub const CONTAINER_OVERHEAD: usize = SALT_LENGTH + IV_LENGTH + TAG_LENGTH;

/// The iterations of PBKDF2 for the master key, as in the C program.
const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(600_000 - 1);

/// The length of the master key in bytes.
const MASTER_KEY_LENGTH: usize = 64;

/// The derived master key (64 bytes) from which the key of each file, record and message is
/// derived.
pub struct MasterKey(Secret);

impl MasterKey {
    /// PBKDF2-HMAC-SHA256 (RFC 8018) of `secret` with `salt`, 600,000 iterations, 64 bytes. Takes
    /// about 0.2 s.
    pub fn derive(secret: &Secret, salt: &[u8; SALT_LENGTH]) -> MasterKey {
        MasterKey(derive(secret, salt, ITERATIONS, MASTER_KEY_LENGTH))
    }

    /// A key for tests, derived with one iteration instead of 600,000.
    #[cfg(any(test, fuzzing))]
    pub fn for_tests(salt: u8) -> MasterKey {
        let secret = Secret::new(b"secret".to_vec());
        MasterKey(derive(
            &secret,
            &[salt; SALT_LENGTH],
            NonZeroU32::MIN,
            MASTER_KEY_LENGTH,
        ))
    }

    /// The key of the container with this salt: PBKDF2-HMAC-SHA256 of the master key, one
    /// iteration. Callers may cache it while the salt stays the same.
    pub fn container_key(
        &self,
        salt: &[u8; SALT_LENGTH],
        encryption: Encryption,
    ) -> Result<Secret> {
        match encryption.key_length() {
            0 => Err(Error::new(
                ErrorKind::Internal,
                "there is no key without encryption",
            )),
            length => Ok(derive(&self.0, salt, NonZeroU32::MIN, length)),
        }
    }

    /// The HMAC-SHA-256 (RFC 2104) of a message with a key for this `purpose`: the HMAC-SHA-256 of
    /// the purpose with the master key. The key of a container is an HMAC with the master key too,
    /// of a salt and a counter, which have 20 bytes; a purpose must be longer, so that the keys
    /// differ.
    pub fn authenticate(&self, purpose: &str, message: &[u8]) -> Result<[u8; 32]> {
        if purpose.len() <= SALT_LENGTH + size_of::<u32>() {
            return Err(Error::new(
                ErrorKind::Internal,
                "the purpose of a key is too short",
            ));
        }
        let key = hmac(self.0.expose(), purpose.as_bytes())?;
        let code = hmac(key.expose(), message)?;
        let invalid = |_| Error::new(ErrorKind::Internal, "an HMAC does not have 32 bytes");
        code.expose().try_into().map_err(invalid)
    }

    /// Encrypts `plain` into a container with a random salt and IV.
    pub fn seal(&self, plain: &[u8], encryption: Encryption) -> Result<Vec<u8>> {
        let mut salt = [0; SALT_LENGTH];
        let mut iv = [0; IV_LENGTH];
        fill_random(&mut salt)?;
        fill_random(&mut iv)?;
        self.seal_with(plain, encryption, &salt, &iv)
    }

    fn seal_with(
        &self,
        plain: &[u8],
        encryption: Encryption,
        salt: &[u8; SALT_LENGTH],
        iv: &[u8; IV_LENGTH],
    ) -> Result<Vec<u8>> {
        let key = self.container_key(salt, encryption)?;
        let mut container = Vec::with_capacity(plain.len() + CONTAINER_OVERHEAD);
        container.extend_from_slice(salt);
        container.extend_from_slice(iv);
        let mut encryptor = Encryptor::new(&key, iv)?;
        encryptor.update(plain, &mut container)?;
        container.extend_from_slice(&encryptor.finish()?);
        Ok(container)
    }

    /// Decrypts what [`MasterKey::seal`] encrypted. Fails with [`ErrorKind::Corrupt`] if the
    /// container is too short or changed, or if the key is another one.
    pub fn open(&self, container: &[u8], encryption: Encryption) -> Result<Secret> {
        let split = || {
            let (salt, rest) = container.split_first_chunk::<SALT_LENGTH>()?;
            let (iv, rest) = rest.split_first_chunk::<IV_LENGTH>()?;
            let (ciphertext, tag) = rest.split_last_chunk::<TAG_LENGTH>()?;
            Some((salt, iv, ciphertext, tag))
        };
        let (salt, iv, ciphertext, tag) = split().ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                format!("{} bytes are too few for encrypted data", container.len()),
            )
        })?;
        let key = self.container_key(salt, encryption)?;
        let mut decryptor = Decryptor::new(&key, iv)?;
        // Zeroed also where the tag does not match.
        let mut plain = zeroize::Zeroizing::new(ciphertext.to_vec());
        decryptor.update_in_place(&mut plain)?;
        decryptor.finish(tag)?;
        Ok(Secret::new(std::mem::take(&mut *plain)))
    }
}

fn hmac(key: &[u8], message: &[u8]) -> Result<Secret> {
    let code = PKey::hmac(key).and_then(|key| {
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        signer.sign_oneshot_to_vec(message)
    });
    code.map(Secret::new)
        .map_err(|error| openssl_error("compute an HMAC", &error))
}

/// PBKDF2-HMAC-SHA256 of the ring crate: that of OpenSSL takes five times as long.
fn derive(secret: &Secret, salt: &[u8], iterations: NonZeroU32, length: usize) -> Secret {
    let mut key = vec![0; length];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, iterations, salt, secret.expose(), &mut key);
    Secret::new(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by another implementation.
    const MASTER: &str = "bb06c8c0b1dd5bfd4e40f4e297a2d0e64da7ef94b4b8ec20989021c8b41536ad\
                          273a2d18e481ec193092497bf7dfa05d2ede64d92e403c87d11e007820c7d7d2";
    const SALT: [u8; 16] = count(0x10);
    const IV: [u8; 12] = count(0x20);

    const fn count<const N: usize>(from: u8) -> [u8; N] {
        let mut bytes = [from; N];
        let mut at = 1;
        while at < N {
            bytes[at] = bytes[at - 1] + 1;
            at += 1;
        }
        bytes
    }

    fn master() -> MasterKey {
        let secret = Secret::new(b"correct horse battery".to_vec());
        MasterKey::derive(&secret, &count(0))
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn derived_keys_are_those_of_the_c_program() {
        let master = master();
        assert_eq!(hex(master.0.expose()), MASTER);
        let key = master.container_key(&SALT, Encryption::Aes256).unwrap();
        assert_eq!(
            hex(key.expose()),
            "4de0f307115ae029c79ca023fbb1c4db58f88351fb394d78f6831d86a3c69539"
        );
        assert!(master.container_key(&SALT, Encryption::None).is_err());
    }

    #[test]
    fn containers_are_those_of_the_c_program() {
        let master = master();
        let front = "101112131415161718191a1b1c1d1e1f202122232425262728292a2b";
        let rows = [
            (
                Encryption::Aes256,
                "9d216defca17649fafb2f1e42b578b09c646ed155e",
            ),
            (
                Encryption::Aes192,
                "8446557970323cf2ae6a55d66382cf94c02746fdfe",
            ),
            (
                Encryption::Aes128,
                "bd38edd1ea9a4189f5c32ed470fb501c8470a03400",
            ),
        ];
        for (encryption, end) in rows {
            let container = master.seal_with(b"hello", encryption, &SALT, &IV).unwrap();
            assert_eq!(hex(&container), format!("{front}{end}"));
            assert_eq!(
                master.open(&container, encryption).unwrap().expose(),
                b"hello"
            );
        }
    }

    #[test]
    fn a_changed_or_truncated_container_and_another_key_are_detected() {
        let master = master();
        let other = MasterKey(Secret::new(vec![1; MASTER_KEY_LENGTH]));
        let container = master.seal(b"secret", Encryption::Aes256).unwrap();
        assert_eq!(container.len(), 6 + CONTAINER_OVERHEAD);
        for at in 0..container.len() {
            let mut changed = container.clone();
            changed[at] ^= 0x80;
            for invalid in [changed.as_slice(), &container[..at]] {
                let failure = master.open(invalid, Encryption::Aes256).err().unwrap();
                assert_eq!(failure.kind(), ErrorKind::Corrupt, "byte {at}");
            }
        }
        assert!(master.open(&container, Encryption::Aes128).is_err());
        assert!(other.open(&container, Encryption::Aes256).is_err());
    }

    /// RFC 4231, test cases 2 and 4; keys of different purposes differ.
    #[test]
    fn an_hmac_depends_on_purpose_and_message() {
        let code = hmac(b"Jefe", b"what do ya want for nothing?").unwrap();
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(code.expose()), expected);
        let code = hmac(&count::<25>(1), &[0xcd; 50]).unwrap();
        let expected = "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b";
        assert_eq!(hex(code.expose()), expected);

        let master = master();
        let of = |purpose: &str, message: &[u8]| master.authenticate(purpose, message);
        let one = of("for this purpose alone", b"x").unwrap();
        assert_eq!(one, of("for this purpose alone", b"x").unwrap());
        assert_ne!(one, of("for that purpose alone", b"x").unwrap());
        assert_ne!(one, of("for this purpose alone", b"y").unwrap());
        assert!(of("twenty bytes exactly", b"x").is_err());
    }

    #[test]
    fn two_containers_have_different_salts() {
        let master = master();
        let seal = || master.seal(b"x", Encryption::Aes256).unwrap();
        assert_ne!(seal()[..SALT_LENGTH], seal()[..SALT_LENGTH]);
    }
}
