//! What retention remembers between its runs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// How often the same problem is reported.
const REPORT_INTERVAL: Duration = Duration::from_secs(86_400);

/// By how much the clock must move forward in excess of the elapsed time to count as a jump.
const MIN_JUMP: Duration = Duration::from_secs(86_400);

/// How long after a jump of the clock it is not trusted: somebody may set it right.
const DISTRUST: Duration = Duration::from_secs(86_400);

/// What retention remembers of its earlier runs for one server.
#[derive(Debug)]
pub struct RetentionMemory {
    /// The last report about each topic, and when it was made.
    reports: BTreeMap<String, (String, Instant)>,
    /// Both clocks at the last look.
    last: (Instant, SystemTime),
    /// When the clock was last seen to have jumped forward.
    jumped: Option<Instant>,
}

impl RetentionMemory {
    /// Nothing was reported, and the clocks stand at these times.
    pub fn new(now: Instant, clock: SystemTime) -> RetentionMemory {
        RetentionMemory {
            reports: BTreeMap::new(),
            last: (now, clock),
            jumped: None,
        }
    }

    /// Whether a text about a topic is to be logged: it is new, or a day has passed.
    pub fn is_news(&mut self, topic: &str, text: &str) -> bool {
        let known = self.reports.get(topic);
        let is_known =
            known.is_some_and(|(known, at)| known == text && at.elapsed() < REPORT_INTERVAL);
        if !is_known {
            let report = (text.to_owned(), Instant::now());
            self.reports.insert(topic.to_owned(), report);
        }
        !is_known
    }

    /// Forgets the reports about topics for which `keep` is false: they are no problem any more.
    pub fn forget(&mut self, keep: impl Fn(&str) -> bool) {
        self.reports.retain(|topic, _| keep(topic));
    }

    /// Compares the clock with the elapsed time, and returns whether it jumped forward within the
    /// last day, such as in a virtual machine that was continued from a snapshot.
    pub fn has_jumped(&mut self, now: Instant, clock: SystemTime) -> bool {
        let (then, clock_then) = self.last;
        let elapsed = now.saturating_duration_since(then);
        let shown = clock.duration_since(clock_then).unwrap_or_default();
        if shown > elapsed.saturating_add(MIN_JUMP) {
            self.jumped = Some(now);
        }
        self.last = (now, clock);
        self.jumped
            .is_some_and(|at| now.saturating_duration_since(at) < DISTRUST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_clock_that_jumped_forward_is_not_trusted_for_a_day() {
        let (now, clock) = (Instant::now(), SystemTime::UNIX_EPOCH + 20_000 * DAY);
        let mut memory = RetentionMemory::new(now, clock);
        assert!(
            !memory.has_jumped(now + 30 * DAY, clock + 30 * DAY),
            "it just ran for long"
        );
        let (now, clock) = (now + 30 * DAY, clock + 30 * DAY);
        assert!(
            !memory.has_jumped(now + MINUTE, clock + DAY),
            "less than a day"
        );
        assert!(!memory.has_jumped(now + 2 * MINUTE, clock), "back");
        assert!(memory.has_jumped(now + 3 * MINUTE, clock + 3650 * DAY));
        assert!(memory.has_jumped(now + 4 * MINUTE, clock + 3650 * DAY + MINUTE));
        assert!(memory.has_jumped(now + DAY, clock + 3651 * DAY));
        assert!(!memory.has_jumped(now + DAY + 3 * MINUTE, clock + 3651 * DAY + 3 * MINUTE));
    }

    #[test]
    fn the_same_problem_is_reported_once() {
        let mut memory = RetentionMemory::new(Instant::now(), SystemTime::now());
        assert!(memory.is_news("a", "full") && memory.is_news("b", "full"));
        assert!(!memory.is_news("a", "full") && memory.is_news("a", "gone"));
        memory.forget(|topic| topic == "b");
        assert!(memory.is_news("a", "gone") && !memory.is_news("b", "full"));
    }
}
