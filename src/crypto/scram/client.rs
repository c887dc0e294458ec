//! The side of the client.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::attributes::{check_nonce, decode_digest, end, malformed, new_nonce, take, text};
use super::keys::{SaltedPassword, hmac, stored_key, xor};
use crate::crypto::{Secret, constant_time_eq};
use crate::error::{Error, ErrorKind, Result};

/// The header of the first message: no channel binding, no other user.
const HEADER: &str = "n,,";

/// The most iterations that the client does, as the C program: a hostile server could ask for any
/// number.
const MAX_ITERATIONS: u32 = 100_000;

/// The first message of the client.
pub struct ClientFirst {
    /// The message.
    pub message: String,
    bare: String,
    nonce: String,
}

/// The final message of the client, and what the server must answer.
pub struct ClientFinal {
    /// The message.
    pub message: String,
    signature: Zeroizing<[u8; 32]>,
}

impl ClientFirst {
    /// Begins an exchange.
    pub fn new() -> Result<ClientFirst> {
        Ok(ClientFirst::with_nonce("", new_nonce()?))
    }

    pub(super) fn with_nonce(name: &str, nonce: String) -> ClientFirst {
        let bare = format!("n={name},r={nonce}");
        ClientFirst {
            message: format!("{HEADER}{bare}"),
            bare,
            nonce,
        }
    }

    /// Answers the first message of the server with the proof of the password.
    pub fn answer(&self, password: &Secret, message: &[u8]) -> Result<ClientFinal> {
        let message = text(message)?;
        let mut rest = message;
        let nonce = take(&mut rest, 'r')?;
        let salt = take(&mut rest, 's')?;
        let iterations = take(&mut rest, 'i')?;
        end(rest)?;
        check_nonce(nonce)?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(malformed(
                "the nonce does not begin with ours, or is no longer",
            ));
        }
        let salt = STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty());
        let salt = salt.ok_or_else(|| malformed("the salt is not base64"))?;
        let digits = iterations.bytes().all(|byte| byte.is_ascii_digit());
        let iterations = iterations.parse().ok().filter(|_| digits);
        let iterations = iterations
            .filter(|&iterations: &NonZeroU32| iterations.get() <= MAX_ITERATIONS)
            .ok_or_else(|| {
                malformed(&format!(
                    "the iterations are not from 1 to {MAX_ITERATIONS}"
                ))
            })?;
        let salted = SaltedPassword::derive(password, &salt, iterations);
        let without_proof = format!("c={},r={nonce}", STANDARD.encode(HEADER));
        let signed = format!("{},{message},{without_proof}", self.bare);
        let client_key = salted.client_key();
        let proof = hmac(&stored_key(&client_key), signed.as_bytes());
        let proof = STANDARD.encode(xor(&client_key, &proof));
        Ok(ClientFinal {
            message: format!("{without_proof},p={proof}"),
            signature: Zeroizing::new(hmac(&*salted.server_key(), signed.as_bytes())),
        })
    }
}

impl ClientFinal {
    /// Verifies that the server knows the password.
    pub fn verify(&self, message: &[u8]) -> Result<()> {
        let mut rest = text(message)?;
        let signature = decode_digest(take(&mut rest, 'v')?)?;
        end(rest)?;
        if constant_time_eq(&signature, &self.signature) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Authentication,
            "the server does not know the password",
        ))
    }
}
