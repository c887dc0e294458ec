//! One byte stream over TCP, a Unix socket or TLS. Every wait has a deadline and ends when a stop is requested.
//!
//! Sockets are non-blocking; what a thread waits with is [`crate::sys::Stop`]. What the bytes mean is not known here.

mod connect;
mod deadline;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

pub use connect::TcpOptions;
pub use deadline::Deadline;
pub use stream::Stream;
pub use tls::{TlsOptions, Trust};
