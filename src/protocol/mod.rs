//! The management protocol, byte for byte that of pgmoneta 0.22: frames, payloads, request and
//! response documents and error codes, for client and daemon.
//!
//! One [`Frame`] is sent in each direction, then the connection is closed. Bytes are decoded into a
//! typed [`Request`] here; input is untrusted, and an invalid one is an error. The requests are
//! carried out elsewhere.

mod code;
mod command;
mod document;
mod envelope;
mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod json;
pub mod login;
mod members;
mod payload;
mod plugin_output;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use code::{Cause, ErrorCodes};
pub use command::{
    Command, CommandOption, Describes, MemberKind, Operand, Presence, Run, error_code,
};
pub use document::*;
pub use envelope::{Envelope, Output};
pub use frame::{Frame, FrameLimits};
pub use json::pretty;
pub use members::{Members, Value, members};
pub use payload::Codec;
pub use plugin_output::unknown_state;
pub use request::{COMMANDS, GROUPS, Request};
pub use response::{Outcome, RequestError, Response, duration_text};
