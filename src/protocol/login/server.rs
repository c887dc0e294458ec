//! What the server reads and sends.

use super::fields::{
    DATABASE, GSS_REQUEST, MECHANISM, OK, PROTOCOL_3_0, SASL, SASL_CONTINUE, SASL_FINAL,
    SSL_REQUEST, invalid, message, take_number, take_text,
};
use crate::error::Result;

/// The maximum length of the first message of a client (PostgreSQL `pqcomm.h`,
/// MAX_STARTUP_PACKET_LENGTH).
pub const MAX_STARTUP: usize = 10_000;

/// The first message of a client, without its length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartupPacket {
    /// It asks for TLS, or for encryption by GSSAPI; it waits for one byte.
    Encryption {
        /// Whether it is TLS.
        tls: bool,
    },
    /// It wants to log in.
    Login {
        /// The name of the user, which may be anything.
        user: String,
        /// The name of the database, `admin` for remote management.
        database: String,
    },
    /// Another request or version.
    Other(i32),
}

/// The length of what follows the length of the first message.
pub fn startup_length(length: [u8; 4]) -> Result<usize> {
    let length = u32::from_be_bytes(length);
    let rest = usize::try_from(length).ok();
    let rest = rest.filter(|&length| length <= MAX_STARTUP);
    // At least a version.
    let rest = rest
        .and_then(|length| length.checked_sub(4))
        .filter(|&rest| rest >= 4);
    rest.ok_or_else(|| invalid(format!("the first message has {length} bytes")))
}

impl StartupPacket {
    /// Parses the first message, without its length.
    pub fn read(mut bytes: &[u8]) -> Result<StartupPacket> {
        match take_number(&mut bytes)? {
            SSL_REQUEST if bytes.is_empty() => Ok(StartupPacket::Encryption { tls: true }),
            GSS_REQUEST if bytes.is_empty() => Ok(StartupPacket::Encryption { tls: false }),
            PROTOCOL_3_0 => login(bytes),
            other => Ok(StartupPacket::Other(other)),
        }
    }
}

fn login(mut bytes: &[u8]) -> Result<StartupPacket> {
    let (mut user, mut database) = (None, None);
    loop {
        let name = take_text(&mut bytes)?;
        if name.is_empty() {
            break;
        }
        let value = take_text(&mut bytes)?;
        match name {
            b"user" => user = Some(value),
            b"database" => database = Some(value),
            _ => {}
        }
    }
    if !bytes.is_empty() {
        return Err(invalid("bytes follow the first message"));
    }
    // A name that is not UTF-8 is unknown like any other.
    let text =
        |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    Ok(StartupPacket::Login {
        user: text(user),
        database: text(database.or(user)),
    })
}

/// Whether this is the database of remote management.
pub fn admits(database: &str) -> bool {
    database == DATABASE
}

/// Offers SCRAM-SHA-256.
pub fn sasl_offer() -> Vec<u8> {
    message(b'R', &[&SASL.to_be_bytes(), MECHANISM.as_bytes(), b"\0\0"])
}

/// The first SCRAM message of the client in the rest of a message `p`.
pub fn initial_response(mut rest: &[u8]) -> Result<&[u8]> {
    if take_text(&mut rest)? != MECHANISM.as_bytes() {
        return Err(invalid("the client uses a mechanism that was not offered"));
    }
    let length = usize::try_from(take_number(&mut rest)?).ok();
    if length != Some(rest.len()) {
        return Err(invalid("the length of a SASL response is wrong"));
    }
    Ok(rest)
}

/// The first SCRAM message of the server.
pub fn sasl_continue(first: &str) -> Vec<u8> {
    message(b'R', &[&SASL_CONTINUE.to_be_bytes(), first.as_bytes()])
}

/// The final SCRAM message of the server, and that the login has succeeded.
pub fn authentication_ok(last: &str) -> Vec<u8> {
    let mut bytes = message(b'R', &[&SASL_FINAL.to_be_bytes(), last.as_bytes()]);
    bytes.extend(message(b'R', &[&OK.to_be_bytes()]));
    bytes
}

/// Refuses the login. The length does not count the final zero byte, as that of the C program.
pub fn error_response(text: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C53300\0M{text}\0");
    let mut bytes = message(b'E', &[fields.as_bytes()]);
    bytes.push(0);
    bytes
}
