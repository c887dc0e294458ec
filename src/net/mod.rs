//! Byte streams over TCP, Unix sockets and TLS. Every wait has a deadline and ends when a stop is
//! requested.
//!
//! Sockets are non-blocking; threads wait with [`crate::sys::Stop`]. No protocol above TLS is known
//! here; hints name the keys of the configuration that decide about TLS.

mod connect;
mod deadline;
mod listen;
mod socket;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

pub use connect::TcpOptions;
pub use deadline::Deadline;
pub use listen::listen;
pub use stream::Stream;
pub use tls::{FileKeys, ServerTls, ServerTlsFiles, TlsOptions, Trust};
