//! SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding: the messages of either side as
//! functions of the messages of the other one.
//!
//! As in the C program, passwords are not normalized (no SASLprep), and the user name in the
//! messages is empty, since the protocol around them has it. Nothing here reads or writes.

mod attributes;
mod client;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod keys;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientFinal, ClientFirst};
pub use server::{ScramUsers, ServerFinal, ServerFirst};
