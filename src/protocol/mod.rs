//! The management protocol, byte for byte that of pgmoneta 0.22: frames, payloads, request and response documents,
//! error codes, both directions.
//!
//! One [`Frame`] goes each way, then the connection is closed. Bytes become a typed [`Request`] here, and nothing that
//! a peer sends can do worse than be refused. What the requests do is not known here.

mod code;
mod command;
mod envelope;
mod fields;
mod frame;
mod json;
mod payload;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub use code::{Cause, error_code};
pub use command::Command;
pub use envelope::{Envelope, Output};
pub use fields::{Fields, Members, Value};
pub use frame::{Frame, LONGEST};
pub use json::pretty;
pub use payload::Codec;
pub use request::{Request, Restore, Sort};
pub use response::{Outcome, Refusal, Response, VERSION, duration_text};
