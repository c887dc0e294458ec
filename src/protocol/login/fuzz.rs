//! The messages of the login, of both sides.

#![allow(clippy::unwrap_used)] // as in tests

use super::{
    LoginRequest, MAX_MESSAGE, MAX_STARTUP, MESSAGE_HEADER, StartupPacket, initial_response,
    message_length, sasl_initial_response, startup, startup_length,
};

/// The bytes as each of the messages.
pub fn login(input: &[u8]) {
    if let Some((length, _)) = input.split_first_chunk::<4>() {
        assert!(
            startup_length(*length).is_ok_and(|length| length <= MAX_STARTUP)
                || startup_length(*length).is_err()
        );
    }
    if let Some((header, _)) = input.split_first_chunk::<MESSAGE_HEADER>()
        && let Ok((_, length)) = message_length(*header)
    {
        assert!(length <= MAX_MESSAGE, "{length}");
    }
    if let Ok(StartupPacket::Login { user, .. }) = StartupPacket::read(input)
        && let Ok(packet) = startup(&user)
    {
        let read = StartupPacket::read(packet.get(4..).unwrap()).unwrap();
        let database = "admin".to_owned();
        assert_eq!(read, StartupPacket::Login { user, database });
    }
    if let Ok(first) = initial_response(input)
        && let Ok(first) = std::str::from_utf8(first)
    {
        let message = sasl_initial_response(first);
        let read = initial_response(message.get(MESSAGE_HEADER..).unwrap());
        assert_eq!(read.unwrap(), first.as_bytes());
    }
    if let Some((tag, rest)) = input.split_first() {
        let _ = LoginRequest::read(*tag, rest);
    }
}
