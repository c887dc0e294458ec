//! The keys and signatures of an exchange (RFC 5802, section 3).

use std::num::NonZeroU32;

use ring::{hmac, pbkdf2};
use zeroize::Zeroizing;

use crate::crypto::{Secret, Sha256};

/// The iterations of PBKDF2 that this server uses: those that the C program uses, 4096.
pub(super) const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4096 - 1);

/// The length of a salt in bytes.
pub(super) const SALT_LENGTH: usize = 16;

/// The password, salted: the key of all other ones.
pub(super) struct SaltedPassword(Zeroizing<[u8; 32]>);

impl SaltedPassword {
    /// PBKDF2-HMAC-SHA256 of the password.
    pub(super) fn derive(password: &Secret, salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut salted = Zeroizing::new([0; 32]);
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, iterations, salt, password.expose(), &mut *salted);
        SaltedPassword(salted)
    }

    /// `ClientKey`, which the proof of the client shows.
    pub(super) fn client_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hmac(&*self.0, b"Client Key"))
    }

    /// `ServerKey`, with which the server signs.
    pub(super) fn server_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(hmac(&*self.0, b"Server Key"))
    }
}

/// `StoredKey`, with which the server verifies a proof.
pub(super) fn stored_key(client_key: &[u8; 32]) -> [u8; 32] {
    Sha256::of(client_key)
}

/// HMAC-SHA-256.
pub(super) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut code = [0; 32];
    code.iter_mut()
        .zip(tag.as_ref())
        .for_each(|(to, from)| *to = *from);
    code
}

/// The bytes combined by exclusive or: a proof from a key and a signature, and back.
pub(super) fn xor(one: &[u8; 32], other: &[u8; 32]) -> [u8; 32] {
    let mut result = *one;
    result
        .iter_mut()
        .zip(other)
        .for_each(|(to, from)| *to ^= from);
    result
}
