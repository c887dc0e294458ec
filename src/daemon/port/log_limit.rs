//! Limits how often what clients do wrong is logged.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a line is logged at most.
const INTERVAL: Duration = Duration::from_secs(60);

/// Logs the events of one port, at most one line a minute: the first event at once, those that
/// follow counted.
pub struct LogLimit {
    port: &'static str,
    state: Mutex<Events>,
}

#[derive(Default)]
struct Events {
    logged: Option<Instant>,
    counts: BTreeMap<&'static str, u64>,
    last: String,
}

impl LogLimit {
    /// Without events; `port` begins each line.
    pub fn new(port: &'static str) -> LogLimit {
        LogLimit {
            port,
            state: Mutex::default(),
        }
    }

    /// Notes an event of a kind, such as `connections closed`, with its details.
    pub fn note(&self, kind: &'static str, details: impl Display) {
        if let Some(line) = self.line(Instant::now(), Some((kind, &details))) {
            log::warn!("{line}");
        }
    }

    /// Logs what was counted, if a minute has passed. To be called from time to time.
    pub fn flush(&self) {
        if let Some(line) = self.line(Instant::now(), None) {
            log::warn!("{line}");
        }
    }

    /// The line to log at this time, if one is due.
    fn line(&self, now: Instant, event: Option<(&'static str, &dyn Display)>) -> Option<String> {
        let mut state = self.lock();
        if let Some((kind, details)) = event {
            *state.counts.entry(kind).or_default() += 1;
            state.last = details.to_string();
        }
        let recent = |logged: Instant| now.saturating_duration_since(logged) < INTERVAL;
        if state.counts.is_empty() || state.logged.is_some_and(recent) {
            return None;
        }
        state.logged = Some(now);
        let counts = std::mem::take(&mut state.counts);
        let counts: Vec<String> = counts
            .iter()
            .map(|(kind, count)| format!("{kind}: {count}"))
            .collect();
        let (port, counts) = (self.port, counts.join(", "));
        Some(format!("{port}: {counts}; the last: {}", state.last))
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_events_is_one_line_a_minute() {
        let limit = LogLimit::new("management");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = limit.line(at(0), Some(("refused", &"one")));
        assert_eq!(first.unwrap(), "management: refused: 1; the last: one");
        for number in 0..1000 {
            let kind = ["refused", "closed"][number % 2];
            assert_eq!(limit.line(at(59), Some((kind, &number))), None);
        }
        assert_eq!(limit.line(at(59), None), None);
        let next = limit.line(at(60), None).unwrap();
        assert_eq!(next, "management: closed: 500, refused: 500; the last: 999");
        assert_eq!(limit.line(at(600), None), None, "nothing happened");
    }
}
