//! TLS 1.2 and later over a connected stream, as client and as server.

mod client;
mod files;
mod handshake;
mod server;
#[cfg(test)]
mod tests;

pub use client::{TlsOptions, Trust};
pub use files::FileKeys;
pub use server::{ServerTls, ServerTlsFiles};
