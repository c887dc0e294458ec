//! How far one operation has come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The progress of one operation, in bytes; written by the job, read by others at any time.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    done: AtomicU64,
    total: AtomicU64,
}

/// What a [`Progress`] said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, as far as known; 0 if not known yet.
    pub total: u64,
    /// Since the start.
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

    /// Says how many bytes there are in all.
    pub fn expect(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// Says that `bytes` more are done.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How far it is now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            elapsed: self.started.elapsed(),
        }
    }
}

impl Snapshot {
    /// How much is done, 0 to 100; the total may have been an estimate.
    pub fn percentage(self) -> u8 {
        let done = u128::from(self.done) * 100;
        u8::try_from(
            done.checked_div(u128::from(self.total))
                .unwrap_or(0)
                .min(100),
        )
        .unwrap_or(100)
    }

    /// How long it will still take at the speed so far, if that can be said.
    pub fn remaining(self) -> Option<Duration> {
        let left = self
            .total
            .checked_sub(self.done)
            .filter(|_| self.done > 0)?;
        let millis = self.elapsed.as_millis() * u128::from(left) / u128::from(self.done);
        u64::try_from(millis).ok().map(Duration::from_millis)
    }
}
