//! Limits how many bytes per second are read.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};
use crate::sys::Stop;

/// Shorter waits are made up for later: they are not worth a system call.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// How long to wait before looking whether another operation waits.
const MAX_SLICE: Duration = Duration::from_secs(1);

/// The longest time that one read is paid with, if the rate is very low.
const MAX_COST: Duration = Duration::from_secs(86_400);

/// Limits the rate of all threads that share it.
pub struct Pace(Mutex<Bucket>);

/// A token bucket, by the time at which it will not be empty any more.
#[derive(Debug)]
struct Bucket {
    /// Bytes per second; 0 is no limit.
    rate: u64,
    /// When what was taken so far is paid.
    paid: Instant,
}

impl Pace {
    /// At most `rate` bytes per second; 0 is no limit.
    pub fn new(rate: u64) -> Pace {
        Pace(Mutex::new(Bucket {
            rate,
            paid: Instant::now(),
        }))
    }

    /// Waits until `bytes` may be read. Fails as soon as a stop is requested.
    pub(super) fn take(&self, bytes: u64, stop: &Stop) -> Result<()> {
        self.take_unless(bytes, stop, || false)
    }

    /// As [`Pace::take`]. [`ErrorKind::Busy`] within a second once `gives_way` is true.
    pub(super) fn take_unless(
        &self,
        bytes: u64,
        stop: &Stop,
        gives_way: impl Fn() -> bool,
    ) -> Result<()> {
        let mut wait = {
            let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.take(bytes, Instant::now())
        };
        loop {
            if gives_way() {
                return Err(Error::new(ErrorKind::Busy, "another operation waits"));
            }
            if wait < MIN_WAIT {
                return stop.check();
            }
            let slice = wait.min(MAX_SLICE);
            stop.pause(slice)?;
            wait -= slice;
        }
    }
}

impl Bucket {
    /// Takes `bytes` at the time `now`, and returns how long to wait before they are used: until
    /// those that were taken before are paid.
    fn take(&mut self, bytes: u64, now: Instant) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        let wait = self.paid.saturating_duration_since(now);
        let nanoseconds = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        let cost = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        self.paid = self.paid.max(now) + cost.min(MAX_COST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_rate_is_read_and_idle_time_is_not_saved() {
        let begin = Instant::now();
        let mut bucket = Bucket {
            rate: 1000,
            paid: begin,
        };
        let mut now = begin;
        for _ in 0..100 {
            now += bucket.take(50, now);
        }
        // The first 50 bytes are read at once, the others when those before them are paid.
        assert_eq!(now - begin, Duration::from_millis(99 * 50));
        now += Duration::from_secs(3600);
        assert_eq!(bucket.take(500, now), Duration::ZERO);
        assert_eq!(bucket.take(1, now), Duration::from_millis(500));
        // Somebody who is late waits for less.
        let late = now + Duration::from_millis(400);
        assert_eq!(bucket.take(1, late), Duration::from_millis(101));
        assert!(bucket.take(u64::MAX, now) < Duration::from_secs(1));
        assert!(bucket.take(1, now) <= MAX_COST + Duration::from_secs(1));
        bucket.rate = 0;
        assert_eq!(bucket.take(u64::MAX, now), Duration::ZERO);
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let (pace, stop) = (Pace::new(1), Stop::new().unwrap());
        pace.take(3600, &stop).unwrap();
        let other = stop.clone();
        let waiter = std::thread::spawn(move || pace.take(1, &other));
        stop.request();
        let stopped = waiter.join().unwrap().unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Stopped);
    }
}
