//! The settings of a server that a server which replays its WAL depends on.

/// The limits that must not be lower than those of the server that wrote the replayed WAL, if
/// `hot_standby` is on (`CheckRequiredParameterValues`, PostgreSQL 18 `xlogrecovery.c`), in the
/// order of [`Parameters::limits`].
pub const LIMITS: [&str; 5] = [
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
];

/// The settings that a server writes to `global/pg_control`, and to WAL when it starts with other
/// values (`xl_parameter_change`, PostgreSQL 13 to 18 `access/xlog_internal.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The limits, in the order of [`LIMITS`].
    pub limits: [i32; 5],
    /// `wal_level`; 0 is `minimal`.
    pub wal_level: i32,
}

impl Parameters {
    /// `WAL_LEVEL_MINIMAL` (PostgreSQL `access/xlog.h`): such WAL lacks records that recovery from
    /// a backup needs.
    pub const MINIMAL: i32 = 0;
}
