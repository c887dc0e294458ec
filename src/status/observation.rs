//! What a server said about itself when it was asked last, apart from its WAL.

use std::time::Instant;

use crate::unit::Lsn;

/// What a server said about itself.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// When it was asked last, with or without success.
    pub tried_at: Option<Instant>,
    /// When it was asked; `None` if it has not answered yet.
    pub observed_at: Option<Instant>,
    /// Its end of WAL, flushed or, on a standby, replayed.
    pub wal_end: Lsn,
    /// Whether `summarize_wal` is on.
    pub summarizes_wal: bool,
    /// Whether OpenSSL of the server is in FIPS mode, if one of its extensions says so.
    pub fips: Option<bool>,
    /// The installed extensions of the database that was asked, by name.
    pub extensions: Vec<InstalledExtension>,
    /// The replication slot; `None` if it does not exist.
    pub slot: Option<SlotState>,
}

/// An extension of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstalledExtension {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its comment; may be empty.
    pub comment: String,
}

/// The replication slot of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotState {
    /// `wal_status`, empty if it reserves nothing.
    pub wal_status: String,
    /// `restart_lsn`: the oldest WAL that it reserves.
    pub restart_lsn: Option<Lsn>,
    /// `safe_wal_size`: bytes that can be written until it may be lost, if there is a limit.
    pub safe_bytes: Option<i64>,
    /// Whether it is in use.
    pub active: bool,
}
