//! What is counted and measured of a server while it happens, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::{Histogram, HistogramSnapshot};
use crate::unit::to_u64;

/// From a fast disk with a battery to one that hangs; microseconds.
const FLUSH_BOUNDS: &[u64] = &[
    100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000,
];

/// From a minute to a day; microseconds.
const BACKUP_BOUNDS: &[u64] = &[
    10_000_000,
    60_000_000,
    300_000_000,
    900_000_000,
    1_800_000_000,
    3_600_000_000,
    7_200_000_000,
    14_400_000_000,
    28_800_000_000,
    86_400_000_000,
];

/// The counters of a server; 0 at the start of the daemon.
#[derive(Debug)]
pub(crate) struct Meters {
    wal_flush: Histogram,
    wal_received: AtomicU64,
    backup_duration: Histogram,
}

/// The values of [`Meters`] at one time.
#[derive(Clone, Debug, Default)]
pub struct MeterValues {
    /// How long the syncs of WAL took.
    pub wal_flush: HistogramSnapshot,
    /// Bytes of WAL that were received.
    pub wal_received: u64,
    /// How long the backups took that succeeded.
    pub backup_duration: HistogramSnapshot,
}

impl Default for Meters {
    fn default() -> Meters {
        Meters {
            wal_flush: Histogram::new(FLUSH_BOUNDS),
            wal_received: AtomicU64::new(0),
            backup_duration: Histogram::new(BACKUP_BOUNDS),
        }
    }
}

impl Meters {
    /// Counts bytes of WAL that arrived.
    pub(crate) fn wal_received(&self, bytes: usize) {
        self.wal_received
            .fetch_add(to_u64(bytes), Ordering::Relaxed);
    }

    /// Records how long a sync of WAL took.
    pub(crate) fn wal_flushed(&self, took: Duration) {
        self.wal_flush.observe(took);
    }

    pub(super) fn backup_ended(&self, took: Duration) {
        self.backup_duration.observe(took);
    }

    pub(super) fn values(&self) -> MeterValues {
        MeterValues {
            wal_flush: self.wal_flush.snapshot(),
            wal_received: self.wal_received.load(Ordering::Relaxed),
            backup_duration: self.backup_duration.snapshot(),
        }
    }
}
