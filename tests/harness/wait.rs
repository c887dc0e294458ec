//! Waiting for a condition instead of for a time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Asks `condition` until it holds; panics with `what` when it does not within `seconds`.
pub fn wait_until(what: &str, seconds: u64, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut pause = Duration::from_millis(5);
    while !condition() {
        assert!(Instant::now() < end, "after {seconds} s still not: {what}");
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
