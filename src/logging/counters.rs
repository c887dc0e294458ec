//! How many messages were logged.

use std::sync::atomic::{AtomicU64, Ordering};

use log::Level;

use super::line::Severity;

/// How many messages of each level were logged since the start, as far as `log_level` lets them
/// through; those below info are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Of the level info.
    pub info: u64,
    /// Of the level warn.
    pub warn: u64,
    /// Of the level error.
    pub error: u64,
    /// With which the daemon exited.
    pub fatal: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    info: AtomicU64,
    warn: AtomicU64,
    error: AtomicU64,
    fatal: AtomicU64,
}

impl Counters {
    pub(super) fn add(&self, severity: Severity) {
        let counter = match severity {
            Severity::Fatal => &self.fatal,
            Severity::Level(Level::Error) => &self.error,
            Severity::Level(Level::Warn) => &self.warn,
            Severity::Level(Level::Info) => &self.info,
            Severity::Level(Level::Debug | Level::Trace) => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> MessageCounts {
        MessageCounts {
            info: self.info.load(Ordering::Relaxed),
            warn: self.warn.load(Ordering::Relaxed),
            error: self.error.load(Ordering::Relaxed),
            fatal: self.fatal.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_by_level() {
        let counters = Counters::default();
        for level in Level::iter() {
            counters.add(Severity::Level(level));
        }
        counters.add(Severity::Level(Level::Warn));
        let expected = MessageCounts {
            info: 1,
            warn: 2,
            error: 1,
            fatal: 0,
        };
        assert_eq!(counters.get(), expected);
    }
}
