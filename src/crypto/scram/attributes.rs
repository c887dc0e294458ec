//! The attributes of a message: a letter, `=` and a value, separated by commas (RFC 5802, 5.1).

use crate::crypto::fill_random;
use crate::error::{Error, ErrorKind, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The number of random bytes of a nonce: 24 characters, which the C program requires of both
/// sides.
const NONCE_BYTES: usize = 18;

/// Takes the value of the attribute `name` from the start of the text, with the comma behind it.
pub(super) fn take<'a>(text: &mut &'a str, name: char) -> Result<&'a str> {
    let rest = text.strip_prefix(name);
    let rest = rest.and_then(|rest| rest.strip_prefix('='));
    let rest = rest.ok_or_else(|| malformed(&format!("attribute {name} is missing")))?;
    let (value, rest) = rest.split_once(',').unwrap_or((rest, ""));
    *text = rest;
    Ok(value)
}

/// Fails unless nothing is left of the message: extensions are not supported.
pub(super) fn end(text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    Err(malformed("there are more attributes than expected"))
}

/// A nonce is printable ASCII without a comma.
pub(super) fn check_nonce(nonce: &str) -> Result<()> {
    if !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(malformed("the nonce is empty or not printable"))
}

/// The text of a message.
pub(super) fn text(message: &[u8]) -> Result<&str> {
    std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))
}

/// 24 random characters.
pub(super) fn new_nonce() -> Result<String> {
    let mut random = [0; NONCE_BYTES];
    fill_random(&mut random)?;
    Ok(STANDARD.encode(random))
}

/// The 32 bytes of a proof or signature.
pub(super) fn decode_digest(base64: &str) -> Result<[u8; 32]> {
    let bytes = STANDARD.decode(base64).ok();
    let digest = bytes.and_then(|bytes| bytes.try_into().ok());
    digest.ok_or_else(|| malformed("a proof is not the base64 of 32 bytes"))
}

/// The error for a message that is no SCRAM message.
pub(super) fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("SCRAM message: {what}"))
}
