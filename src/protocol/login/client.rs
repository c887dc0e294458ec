//! What the client sends and reads.

use super::fields::{
    DATABASE, MECHANISM, OK, PROTOCOL_3_0, SASL, SASL_CONTINUE, SASL_FINAL, SSL_REQUEST, invalid,
    message, packet, take_number, take_text,
};
use crate::error::{Error, ErrorKind, Result};

/// Asks for TLS.
pub fn ssl_request() -> Vec<u8> {
    packet(&[&SSL_REQUEST.to_be_bytes()])
}

/// Asks to log in. Fails for a name that the message cannot contain.
pub fn startup(user: &str) -> Result<Vec<u8>> {
    if user.is_empty() || user.contains('\0') {
        let message = "the user name is empty or contains a zero byte";
        return Err(Error::new(ErrorKind::Usage, message));
    }
    let fields = format!("user\0{user}\0database\0{DATABASE}\0application_name\0pgmoneta\0\0");
    Ok(packet(&[&PROTOCOL_3_0.to_be_bytes(), fields.as_bytes()]))
}

/// The first SCRAM message of the client.
pub fn sasl_initial_response(first: &str) -> Vec<u8> {
    // Its length is that of a nonce and some bytes.
    let length = i32::try_from(first.len()).unwrap_or(i32::MAX);
    let parts = [
        MECHANISM.as_bytes(),
        b"\0",
        &length.to_be_bytes(),
        first.as_bytes(),
    ];
    message(b'p', &parts)
}

/// The final SCRAM message of the client.
pub fn sasl_response(last: &str) -> Vec<u8> {
    message(b'p', &[last.as_bytes()])
}

/// What the server asks for during the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginRequest {
    /// SCRAM-SHA-256, among others.
    Sasl,
    /// The first SCRAM message of the server.
    Continue(Vec<u8>),
    /// The final SCRAM message of the server.
    Final(Vec<u8>),
    /// Nothing more: the login has succeeded.
    Done,
}

impl LoginRequest {
    /// Parses a message of this type. Fails with [`ErrorKind::Authentication`] and its text for an
    /// error of the server.
    pub fn read(tag: u8, mut rest: &[u8]) -> Result<LoginRequest> {
        match tag {
            b'E' => Err(refusal(rest)),
            b'R' => match take_number(&mut rest)? {
                SASL => offered(rest),
                SASL_CONTINUE => Ok(LoginRequest::Continue(rest.to_vec())),
                SASL_FINAL => Ok(LoginRequest::Final(rest.to_vec())),
                OK if rest.is_empty() => Ok(LoginRequest::Done),
                other => Err(invalid(format!(
                    "authentication request {other} is unknown"
                ))),
            },
            _ => Err(invalid(format!("a message of type {:?}", char::from(tag)))
                .with_hint("is this the management port of pgmoneta?")),
        }
    }
}

fn offered(mut rest: &[u8]) -> Result<LoginRequest> {
    loop {
        match take_text(&mut rest)? {
            b"" => return Err(invalid("SCRAM-SHA-256 is not offered")),
            name if name == MECHANISM.as_bytes() => return Ok(LoginRequest::Sasl),
            _ => {}
        }
    }
}

/// The error of an ErrorResponse: its message (field M).
fn refusal(mut fields: &[u8]) -> Error {
    let mut text = String::from("connection refused");
    while let Ok(field) = take_text(&mut fields) {
        if let Some((b'M', message)) = field.split_first() {
            text = String::from_utf8_lossy(message).into_owned();
        }
    }
    Error::new(ErrorKind::Authentication, text)
}
