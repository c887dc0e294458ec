//! Remote management: clients log in over TCP with SCRAM-SHA-256, usually over TLS, and then send
//! requests as on the management socket.

mod admins;
mod failures;
mod login;
mod service;
mod setup;

pub(super) use service::RemotePort;
pub(super) use setup::{RemoteSetup, check};
