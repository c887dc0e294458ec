//! Lengths and fields of the messages.

use crate::error::{Error, ErrorKind, Result};

/// The length of a type byte and a length.
pub const MESSAGE_HEADER: usize = 5;

/// The maximum length of the rest of a message of the login, of either side.
pub const MAX_MESSAGE: usize = 4096;

/// The name of the mechanism, the only one.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";

/// The database of remote management.
pub(super) const DATABASE: &str = "admin";

/// The requests of an authentication message (PostgreSQL `protocol.h`, AUTH_REQ_*).
pub(super) const OK: i32 = 0;
pub(super) const SASL: i32 = 10;
pub(super) const SASL_CONTINUE: i32 = 11;
pub(super) const SASL_FINAL: i32 = 12;

/// The codes in place of a version (PostgreSQL `pqcomm.h`).
pub(super) const PROTOCOL_3_0: i32 = 196_608;
pub(super) const SSL_REQUEST: i32 = 80_877_103;
pub(super) const GSS_REQUEST: i32 = 80_877_104;

/// The type of a message, and the length of what follows its header.
pub fn message_length(header: [u8; MESSAGE_HEADER]) -> Result<(u8, usize)> {
    let [tag, length @ ..] = header;
    let length = u32::from_be_bytes(length);
    let rest = usize::try_from(length).ok();
    let rest = rest.and_then(|length| length.checked_sub(size_of::<u32>()));
    let rest = rest.filter(|&rest| rest <= MAX_MESSAGE);
    let rest = rest.ok_or_else(|| invalid(format!("a message has {length} bytes")))?;
    Ok((tag, rest))
}

/// A message: its type, its length, and its parts one after the other.
pub(super) fn message(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(packet(parts));
    bytes
}

/// A message without a type, as the first one is.
pub(super) fn packet(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    // No message here is longer than a user name and some fields.
    let length = u32::try_from(body.len() + size_of::<u32>()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &body].concat()
}

/// Takes the text up to the next zero byte, and that byte.
pub(super) fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let end = bytes.iter().position(|&byte| byte == 0);
    let split = end.and_then(|end| bytes.split_at_checked(end));
    let (text, rest) = split.ok_or_else(|| invalid("a text has no end"))?;
    *bytes = rest.split_first().map_or(rest, |(_, rest)| rest);
    Ok(text)
}

/// Takes the next four bytes as a number.
pub(super) fn take_number(bytes: &mut &[u8]) -> Result<i32> {
    let (number, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or_else(|| invalid("a message is too short"))?;
    *bytes = rest;
    Ok(i32::from_be_bytes(*number))
}

/// The error for a message that is not one of this protocol.
pub(super) fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, what)
}
