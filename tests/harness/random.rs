//! Reproducible random numbers: the seed is printed, and `PGMONETA_TEST_SEED` sets it.

use std::time::{SystemTime, UNIX_EPOCH};

/// A sequence of random numbers (xorshift64*).
pub struct Random(u64);

impl Random {
    /// The seed is `PGMONETA_TEST_SEED`, or the clock; it is printed.
    pub fn new() -> Self {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = match std::env::var("PGMONETA_TEST_SEED") {
            Ok(text) => text.parse().expect("PGMONETA_TEST_SEED is a number"),
            Err(_) => clock.as_nanos() as u64,
        };
        println!("PGMONETA_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    }
}
