//! All rows of the table.

use super::row::Metric;
use super::{backup, backups, general, progress, protection, server, storage, wal};

/// The rows by topic.
static TABLES: [&[Metric]; 8] = [
    general::METRICS,
    server::METRICS,
    storage::METRICS,
    wal::METRICS,
    protection::METRICS,
    backup::METRICS,
    backups::METRICS,
    progress::METRICS,
];

/// All metrics.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    TABLES.iter().copied().flatten()
}
