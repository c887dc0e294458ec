//! The settings of a server that those which replay its WAL must follow.

/// The limits that a server must have at least as high as the one that wrote the WAL it replays, if it lets clients in
/// meanwhile (`CheckRequiredParameterValues`, PostgreSQL 18 `xlogrecovery.c`), in the order of [`Parameters::limits`].
pub const LIMITS: [&str; 5] = [
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];

/// What a server says of itself in `global/pg_control` and in WAL when it starts with other values
/// (`xl_parameter_change`, PostgreSQL 13 to 18 `access/xlog_internal.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The limits, in the order of [`LIMITS`].
    pub limits: [i32; 5],
    /// `wal_level`; 0 is `minimal`.
    pub wal_level: i32,
}

impl Parameters {
    /// `WAL_LEVEL_MINIMAL` (PostgreSQL `access/xlog.h`): such WAL lacks what recovery from a backup needs.
    pub const MINIMAL: i32 = 0;
}
