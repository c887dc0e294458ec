//! Waiting for a condition instead of for a time.

use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The shortest of all deadlines, in seconds on a machine that is quick and idle.
const SHORTEST: u64 = 30;
/// How much slower a machine may be, unless `PGMONETA_TEST_PATIENCE` says another number.
const SLOWER: u64 = 4;

/// How long to wait before giving up on what takes at most `seconds` on a quick machine. It is the one place that knows
/// how slow a machine may be: only a test that fails waits that long.
pub fn patience(seconds: u64) -> Duration {
    static FACTOR: OnceLock<u64> = OnceLock::new();
    let factor = FACTOR.get_or_init(|| match std::env::var("PGMONETA_TEST_PATIENCE") {
        Ok(text) => text.parse().expect("PGMONETA_TEST_PATIENCE is a number"),
        Err(_) => SLOWER,
    });
    Duration::from_secs(seconds.max(SHORTEST) * factor)
}

/// Asks `condition` until it holds; panics with `what` when it does not, long after `seconds` (see [`patience`]).
pub fn wait_until(what: &str, seconds: u64, mut condition: impl FnMut() -> bool) {
    let limit = patience(seconds);
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    while !condition() {
        assert!(Instant::now() < end, "after {limit:?} still not: {what}");
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
