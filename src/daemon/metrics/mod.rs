//! The metrics service: `/metrics` for Prometheus and a page for people, over HTTP, with TLS where
//! that is configured.
//!
//! An answer is made from memory: no file is read and no lock is held while it is sent.

mod answer;
mod listen;
mod service;

pub(super) use listen::{MetricsListener, check};
pub(super) use service::MetricsPort;
