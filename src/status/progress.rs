//! The progress of one operation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The progress of one operation, in bytes; written by the job, read by others at any time.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    done: AtomicU64,
    total: AtomicU64,
}

/// The values of a [`Progress`] at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Bytes processed so far.
    pub done: u64,
    /// The expected number of bytes, possibly an estimate; 0 if not known yet.
    pub total: u64,
    /// Time since the start of the operation.
    pub elapsed: Duration,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress {
            started: Instant::now(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
        }
    }

    /// Sets the expected number of bytes.
    pub fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// Adds `bytes` to those that are done.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The current values.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            elapsed: self.started.elapsed(),
        }
    }
}

impl Snapshot {
    /// 0 to 100, also if the estimated total was too small.
    pub fn percentage(self) -> u8 {
        let done = u128::from(self.done) * 100;
        u8::try_from(
            done.checked_div(u128::from(self.total))
                .unwrap_or(0)
                .min(100),
        )
        .unwrap_or(100)
    }

    /// The estimated time left at the average speed so far; `None` if not known.
    pub fn remaining(self) -> Option<Duration> {
        let left = self
            .total
            .checked_sub(self.done)
            .filter(|_| self.done > 0)?;
        let millis = self.elapsed.as_millis() * u128::from(left) / u128::from(self.done);
        u64::try_from(millis).ok().map(Duration::from_millis)
    }
}
