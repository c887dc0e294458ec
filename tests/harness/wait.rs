//! Waits for conditions, and their timeouts.

use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The minimum timeout in seconds, before the factor.
const MIN_SECONDS: u64 = 30;
/// The default of `PGMONETA_TEST_PATIENCE`, the factor of all timeouts.
const DEFAULT_FACTOR: u64 = 4;

/// The timeout for an operation that takes at most `seconds` on a fast machine. It is long, since
/// only a failing test waits that long.
pub fn test_timeout(seconds: u64) -> Duration {
    static FACTOR: OnceLock<u64> = OnceLock::new();
    let factor = FACTOR.get_or_init(|| match std::env::var("PGMONETA_TEST_PATIENCE") {
        Ok(text) => text.parse().expect("PGMONETA_TEST_PATIENCE is a number"),
        Err(_) => DEFAULT_FACTOR,
    });
    Duration::from_secs(seconds.max(MIN_SECONDS) * factor)
}

/// Polls `condition` until it is true; panics with `what` after [`test_timeout`].
pub fn wait_until(what: &str, seconds: u64, mut condition: impl FnMut() -> bool) {
    let limit = test_timeout(seconds);
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    while !condition() {
        assert!(Instant::now() < end, "after {limit:?} still not: {what}");
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
