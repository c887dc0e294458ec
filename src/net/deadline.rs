//! The moment at which a wait ends.

use std::time::{Duration, Instant};

/// The moment at which a wait ends. Several waits that belong together share one.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// What counts as never: longer than any process runs, short enough for every system call.
    const NEVER: Duration = Duration::from_secs(1 << 30);

    /// `wait` from now.
    pub fn after(wait: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(wait))
    }

    /// The time left; zero once it has passed.
    pub fn left(self) -> Duration {
        let left = self
            .0
            .map(|end| end.saturating_duration_since(Instant::now()));
        left.unwrap_or(Deadline::NEVER).min(Deadline::NEVER)
    }

    /// Whether it has passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }
}
