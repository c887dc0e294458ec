//! The login of remote management: messages of PostgreSQL's protocol 3.0 (protocol documentation,
//! "Message Formats"), which precede the frames. Nothing here reads or writes.
//!
//! The C program wants each message in one piece, so that each function gives what is sent at once.

mod client;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod server;
#[cfg(test)]
mod tests;

pub use client::{LoginRequest, sasl_initial_response, sasl_response, ssl_request, startup};
pub use fields::{MAX_MESSAGE, MESSAGE_HEADER, message_length};
pub use server::{
    MAX_STARTUP, StartupPacket, admits, authentication_ok, error_response, initial_response,
    sasl_continue, sasl_offer, startup_length,
};
