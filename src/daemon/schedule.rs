//! What the daemon does at intervals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Result;
use crate::job;
use crate::job::context::ServerContext;

/// A task that runs at intervals for each server `S`, in a thread of its own.
pub(super) struct ScheduledTask<S: 'static> {
    /// A word for the log and for its threads.
    pub name: &'static str,
    /// How often it runs for a server, from its configuration; `None` if that turns it off.
    pub interval: fn(&S) -> Option<Duration>,
    /// What it does for one server.
    pub run: fn(&S) -> Result<()>,
}

/// All scheduled tasks: one more is one more row.
pub(super) const TASKS: &[ScheduledTask<ServerContext>] = &[
    ScheduledTask {
        // Besides at the start of a receiver and where it expects a gap: WAL files may be removed
        // by hand, and a backup may begin before the archived WAL.
        name: "check-gaps",
        interval: |_| Some(Duration::from_secs(3600)),
        run: job::wal::check_gaps,
    },
    ScheduledTask {
        name: "retention",
        interval: |context| {
            let seconds = context.daemon.config.retention_interval;
            Some(Duration::from_secs(seconds.into()))
        },
        run: job::retention::scheduled,
    },
    ScheduledTask {
        name: "verification",
        interval: job::scrub::interval,
        run: job::scrub::scheduled,
    },
    ScheduledTask {
        name: "collect",
        interval: job::collect::interval,
        run: job::collect::scheduled,
    },
    ScheduledTask {
        name: "room",
        interval: |_| Some(job::room::INTERVAL),
        run: job::room::monitor,
    },
];

/// How long after the start a task has its first turn, at least: a sixtieth of its interval, so
/// that a daemon that is restarted often does its work too.
const MIN_FIRST_TURN: Duration = Duration::from_secs(30);

/// When each task is due for each server. The servers are spread over the interval, so that not
/// all of them are served at the same time.
pub(super) struct Schedule<S: 'static> {
    entries: Vec<Entry<S>>,
}

struct Entry<S: 'static> {
    task: &'static ScheduledTask<S>,
    server: S,
    interval: Duration,
    next: Instant,
    /// Its second turn, from which on it runs at the interval; `None` after the first one.
    second: Option<Instant>,
    running: Arc<AtomicBool>,
}

/// A task to run now for one server. It counts as running until this is dropped.
pub(super) struct DueTask<S: 'static> {
    pub task: &'static ScheduledTask<S>,
    pub server: S,
    running: Arc<AtomicBool>,
}

impl<S> Drop for DueTask<S> {
    fn drop(&mut self) {
        self.running.store(false, Ordering::SeqCst);
    }
}

impl<S: Clone> Schedule<S> {
    /// The schedule of `tasks` for `servers` from `now` on.
    pub(super) fn new(
        tasks: &'static [ScheduledTask<S>],
        servers: &[S],
        now: Instant,
    ) -> Schedule<S> {
        let mut entries = Vec::new();
        let count = u32::try_from(servers.len()).unwrap_or(u32::MAX).max(1);
        for task in tasks {
            for (number, server) in (1..).zip(servers) {
                let interval = (task.interval)(server).filter(|interval| !interval.is_zero());
                let Some(interval) = interval else {
                    continue;
                };
                entries.push(Entry {
                    task,
                    server: server.clone(),
                    interval,
                    next: now + first_turn(interval) / count * number,
                    second: Some(now + (interval / count).saturating_mul(number)),
                    running: Arc::default(),
                });
            }
        }
        Schedule { entries }
    }

    /// How long to wait from `now` on until a task is due; `None` if none ever is.
    pub(super) fn timeout(&self, now: Instant) -> Option<Duration> {
        let next = self.entries.iter().map(|entry| entry.next).min();
        next.map(|next| next.saturating_duration_since(now))
    }

    /// The tasks that are due. One that is still running for a server is left out until its next
    /// turn; turns that have been missed are not made up for.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<DueTask<S>> {
        let mut due = Vec::new();
        for entry in &mut self.entries {
            if entry.next > now {
                continue;
            }
            entry.next = entry.turn_after(now);
            if !entry.running.swap(true, Ordering::SeqCst) {
                due.push(DueTask {
                    task: entry.task,
                    server: entry.server.clone(),
                    running: entry.running.clone(),
                });
            }
        }
        due
    }
}

impl<S> Entry<S> {
    /// The first turn after `now`.
    fn turn_after(&mut self, now: Instant) -> Instant {
        let base = self.second.take().unwrap_or(self.next);
        if base > now {
            return base;
        }
        let late = now.duration_since(base).as_nanos();
        let missed = late / self.interval.as_nanos().max(1);
        let turns = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        base + self.interval.saturating_mul(turns)
    }
}

fn first_turn(interval: Duration) -> Duration {
    interval.min(MIN_FIRST_TURN.max(interval / 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// One more row, as in CONTRIBUTING.md.
    const ROWS: &[ScheduledTask<u32>] = &[
        ScheduledTask {
            name: "hourly",
            interval: |_| Some(Duration::from_secs(3600)),
            run: |_| Ok(()),
        },
        ScheduledTask {
            name: "off",
            interval: |_| None,
            run: |_| Ok(()),
        },
    ];

    fn names(due: &[DueTask<u32>]) -> Vec<(&str, u32)> {
        due.iter().map(|due| (due.task.name, due.server)).collect()
    }

    #[test]
    fn one_more_row_runs_for_each_server_spread_over_its_interval() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(ROWS, &[1, 2, 3], begin);
        assert_eq!(schedule.timeout(begin), Some(MINUTE / 3));
        assert!(schedule.take_due(begin).is_empty(), "not all at the start");
        let mut ran = Vec::new();
        for second in (1..=7200).filter(|second| second % 20 == 0) {
            let due = schedule.take_due(begin + second * MINUTE / 60);
            assert!(due.len() <= 1, "{:?}", names(&due));
            for due in due {
                (due.task.run)(&due.server).unwrap();
                ran.push((second, due.task.name, due.server));
            }
        }
        let turns = [20, 40, 60, 1200, 2400, 3600, 4800, 6000, 7200];
        let servers = [1, 2, 3].into_iter().cycle();
        let expected = turns.into_iter().zip(servers);
        let expected: Vec<_> = expected
            .map(|(at, server)| (at, "hourly", server))
            .collect();
        assert_eq!(ran, expected);
        let none = Schedule::new(&ROWS[1..], &[1], begin);
        assert_eq!(none.timeout(begin), None);
    }

    #[test]
    fn a_running_task_is_not_started_again_and_missed_turns_are_not_made_up_for() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(ROWS, &[7], begin);
        let first = schedule.take_due(begin + 60 * MINUTE);
        assert_eq!(names(&first), [("hourly", 7)]);
        assert!(
            schedule.take_due(begin + 120 * MINUTE).is_empty(),
            "it still runs"
        );
        drop(first);
        let late = begin + 600 * MINUTE;
        assert_eq!(names(&schedule.take_due(late)), [("hourly", 7)]);
        assert_eq!(schedule.timeout(late), Some(60 * MINUTE));
        assert!(schedule.take_due(late + MINUTE).is_empty());
    }

    #[test]
    fn every_row_has_a_name_of_its_own_and_an_interval() {
        for (number, task) in TASKS.iter().enumerate() {
            let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(task.name.chars().all(is_word), "{}", task.name);
            assert!(TASKS[..number].iter().all(|other| other.name != task.name));
        }
    }
}
