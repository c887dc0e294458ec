//! Deadlines of blocking operations.

use std::time::{Duration, Instant};

/// The time at which a wait ends, shared by all waits of one operation.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// A time that is never reached: longer than a process runs, short enough for every system
    /// call.
    const NEVER: Duration = Duration::from_secs(1 << 30);

    /// The deadline `wait` from now.
    pub fn after(wait: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(wait))
    }

    /// The remaining time; zero once it has passed.
    pub fn left(self) -> Duration {
        let left = self
            .0
            .map(|end| end.saturating_duration_since(Instant::now()));
        left.unwrap_or(Deadline::NEVER).min(Deadline::NEVER)
    }

    /// Whether the remaining time is zero.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }
}
