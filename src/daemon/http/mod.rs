//! A small HTTP/1.1 server over [`crate::net::Stream`]: GET and HEAD of short paths, answered from
//! memory, with a deadline for each step.
//!
//! `request` reads the head of a request, of which the size is limited; `response` writes an
//! answer; `connection` serves the requests of a connection one after the other. What is answered
//! is for the caller. A request with a body is answered and the connection closed.

mod connection;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod request;
mod response;
mod status;
#[cfg(test)]
mod tests;

pub(super) use connection::{Connection, Limits};
pub(super) use request::{Method, Request};
pub(super) use response::{ContentType, Response};
pub(super) use status::Status;
