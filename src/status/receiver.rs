//! What a WAL receiver is doing.

use std::time::Instant;

use crate::unit::{Lsn, PgVersion, Timeline};

/// Where a receiver is in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has not connected yet.
    #[default]
    Starting,
    /// WAL is arriving.
    Streaming,
    /// The connection is gone; it tries again by itself. The text says what broke it.
    Reconnecting(String),
    /// It cannot go on until somebody acts, and keeps trying meanwhile. The text says why.
    Alarm(String),
    /// It has left.
    Stopped,
}

/// The state of the receiver of one server, and what is known of the server through it.
#[derive(Clone, Debug, Default)]
pub struct ReceiverState {
    /// Where it is in its life.
    pub phase: Phase,
    /// The timeline that it receives.
    pub timeline: Option<Timeline>,
    /// Up to where WAL was received.
    pub received: Lsn,
    /// Up to where WAL is on stable storage here.
    pub flushed: Lsn,
    /// The server's end of WAL, as it last said.
    pub server_end: Lsn,
    /// When the server last said anything.
    pub heard: Option<Instant>,
    /// The server's version, once known.
    pub version: Option<PgVersion>,
    /// Whether the server runs with data checksums, once known.
    pub checksums: Option<bool>,
    /// Whether the server is in recovery (a standby), once known.
    pub in_recovery: Option<bool>,
    /// Which WAL is missing in the archive between the oldest backup and its end, in words; empty if none is.
    pub gaps: Vec<String>,
    /// How many complete segments are not sealed yet.
    pub unsealed: usize,
    /// How many segments were sealed since the start.
    pub sealed: u64,
    /// Why segments cannot be sealed at the moment.
    pub sealing: Option<String>,
}

impl ReceiverState {
    /// Whether WAL is arriving.
    pub fn is_streaming(&self) -> bool {
        self.phase == Phase::Streaming
    }

    /// How many bytes of the server's WAL are not yet on stable storage here.
    pub fn lag(&self) -> u64 {
        self.server_end.since(self.flushed)
    }
}
