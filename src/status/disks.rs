//! What is remembered of the file systems that hold the repository, and of the rate of WAL.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Claims;
use super::forecast::{Sample, days_until};
use crate::storage::Space;
use crate::unit::{Lsn, ServerName};

/// How often the free space is remembered.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1200);

/// How many samples are kept: those of a week, so that daily backups and what is removed for them
/// are no trend.
const MAX_SAMPLES: usize = 504;

/// How many positions of WAL are kept: those of the last hour.
const MAX_POSITIONS: usize = 4;

/// How often retention runs while a disk is full.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// Below how many days until a disk is full the log warns, the first and the second time.
const WARNING_DAYS: [u64; 2] = [7, 1];

/// Something about a disk that the log is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskNews {
    /// Backups may not take any more of it.
    Full,
    /// They may again.
    HasRoom,
    /// It will be full in less than so many days.
    FullWithin(u64),
}

/// The file systems, by device number, and the servers. Nothing is stored.
#[derive(Debug, Default)]
pub struct Disks {
    disks: Mutex<BTreeMap<u64, Disk>>,
    servers: Mutex<BTreeMap<ServerName, ServerMemory>>,
    claims: Claims,
}

/// A file system.
#[derive(Debug, Default)]
struct Disk {
    total: u64,
    samples: VecDeque<(Instant, u64)>,
    full: bool,
    /// How many of the warnings were given.
    warnings: usize,
}

#[derive(Debug, Default)]
struct ServerMemory {
    /// When retention ran because the disk was full.
    retention: Option<Instant>,
    positions: VecDeque<(Instant, Lsn)>,
}

impl Disks {
    /// What running backups are expected to take.
    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Records the space of a file system, of which `reserve` bytes are not for backups.
    pub(crate) fn record(&self, space: Space, reserve: u64, now: Instant) -> Vec<DiskNews> {
        let mut disks = lock(&self.disks);
        let disk = disks.entry(space.device).or_default();
        if disk.total != space.total {
            // It is another one, or has another size: what was used before says nothing.
            *disk = Disk {
                total: space.total,
                full: disk.full,
                ..Disk::default()
            };
        }
        // A disk that is just full is not said to have room before there is some.
        let margin = if disk.full { space.total / 100 } else { 0 };
        let full = space.free < reserve.saturating_add(margin);
        let changed = std::mem::replace(&mut disk.full, full) != full;
        let mut news = Vec::new();
        if changed {
            news.push(if full {
                DiskNews::Full
            } else {
                DiskNews::HasRoom
            });
        }
        if is_due(disk.samples.back(), now) {
            keep(&mut disk.samples, MAX_SAMPLES, (now, space.free));
            let days = disk.warn(disk.days_left(space.free, reserve));
            news.extend(days.map(DiskNews::FullWithin));
        }
        news
    }

    /// The days until only the `reserve` of a file system is free; `None` if it does not get
    /// fuller, or that is not known yet.
    pub(crate) fn days_left(&self, space: Space, reserve: u64) -> Option<u64> {
        lock(&self.disks)
            .get(&space.device)?
            .days_left(space.free, reserve)
    }

    /// Whether retention is to run now for a server whose disk is full: at once, and then every
    /// minute.
    pub(crate) fn retention_is_due(&self, server: &ServerName, full: bool, now: Instant) -> bool {
        let mut servers = lock(&self.servers);
        let memory = servers.entry(server.clone()).or_default();
        if !full {
            return false;
        }
        let elapsed = |last: Instant| now.saturating_duration_since(last);
        let due = memory
            .retention
            .is_none_or(|last| elapsed(last) >= RETENTION_INTERVAL);
        if due {
            memory.retention = Some(now);
        }
        due
    }

    /// Records the end of the received WAL of a server.
    pub(crate) fn record_wal(&self, server: &ServerName, received: Lsn, now: Instant) {
        let mut servers = lock(&self.servers);
        let positions = &mut servers.entry(server.clone()).or_default().positions;
        if positions.back().is_some_and(|(_, last)| *last > received) {
            // Another archive, or another timeline.
            positions.clear();
        }
        if received > Lsn::ZERO && is_due(positions.back(), now) {
            keep(positions, MAX_POSITIONS, (now, received));
        }
    }

    /// The bytes of WAL per second of a server in the last hour; 0 if not known yet.
    pub(crate) fn wal_rate(&self, server: &ServerName) -> u64 {
        let servers = lock(&self.servers);
        let positions = servers.get(server).map(|memory| &memory.positions);
        let ends = positions.and_then(|all| Some((all.front()?, all.back()?)));
        let Some(((begin, first), (end, last))) = ends else {
            return 0;
        };
        let seconds = end.saturating_duration_since(*begin).as_secs();
        last.since(*first).checked_div(seconds).unwrap_or(0)
    }
}

impl Disk {
    fn days_left(&self, free: u64, reserve: u64) -> Option<u64> {
        let begin = self.samples.front()?.0;
        let samples = self.samples.iter().map(|(at, free)| Sample {
            seconds: at.saturating_duration_since(begin).as_secs(),
            free: *free,
        });
        let samples: Vec<Sample> = samples.collect();
        days_until(&samples, free.saturating_sub(reserve))
    }

    /// The days below which the time until it is full has fallen since the last call.
    fn warn(&mut self, days: Option<u64>) -> Option<u64> {
        let below = |limit: &&u64| days.is_some_and(|days| days < **limit);
        let reached = WARNING_DAYS.iter().filter(below).count();
        if reached > self.warnings {
            self.warnings = reached;
            return WARNING_DAYS.get(reached.checked_sub(1)?).copied();
        }
        // Not again while the forecast varies around the limit.
        let kept = |limit: &&u64| days.is_some_and(|days| days < limit.saturating_mul(2));
        let kept = WARNING_DAYS.iter().filter(kept).count();
        self.warnings = self.warnings.min(kept);
        None
    }
}

fn is_due<T>(last: Option<&(Instant, T)>, now: Instant) -> bool {
    last.is_none_or(|(at, _)| now.saturating_duration_since(*at) >= SAMPLE_INTERVAL)
}

fn keep<T>(list: &mut VecDeque<T>, count: usize, item: T) {
    if list.len() >= count {
        list.pop_front();
    }
    list.push_back(item);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const HOUR: Duration = Duration::from_secs(3600);

    fn space(free: u64) -> Space {
        Space {
            free: free * GIB,
            total: 1000 * GIB,
            free_files: u64::MAX,
            device: 1,
        }
    }

    fn primary() -> ServerName {
        "primary".parse().unwrap()
    }

    #[test]
    fn that_a_disk_is_full_is_news_once() {
        let (disks, now) = (Disks::default(), Instant::now());
        let record = |free| disks.record(space(free), 50 * GIB, now);
        assert_eq!(record(60), []);
        assert_eq!(record(49), [DiskNews::Full]);
        assert_eq!(record(20), []);
        assert_eq!(record(50), [], "not yet");
        assert_eq!(record(60), [DiskNews::HasRoom]);
        assert_eq!(record(50), []);
        let other = Space {
            device: 2,
            ..space(1)
        };
        assert_eq!(disks.record(other, 50 * GIB, now), [DiskNews::Full]);
    }

    #[test]
    fn the_log_warns_at_seven_days_and_at_one() {
        let (disks, begin) = (Disks::default(), Instant::now());
        let mut news = Vec::new();
        // 4 GiB an hour: 96 a day.
        for hour in 0..215_u32 {
            let free = 960 - u64::from(hour) * 4;
            let found = disks.record(space(free), 60 * GIB, begin + hour * HOUR);
            news.extend(found.into_iter().map(|news| (free, news)));
        }
        let within = |free: u64, days| (free, DiskNews::FullWithin(days));
        assert_eq!(news, [within(728, 7), within(152, 1)]);
        assert_eq!(disks.days_left(space(156), 60 * GIB), Some(1));
        // Much was removed, and it fills again.
        let begin = begin + 215 * HOUR;
        let mut news = Vec::new();
        for hour in 0..215_u32 {
            let free = 960 - u64::from(hour) * 4;
            news.extend(disks.record(space(free), 60 * GIB, begin + hour * HOUR));
        }
        // It was never more than 14 days, so that 7 are no news.
        assert_eq!(news, [DiskNews::FullWithin(1)]);
        let larger = Space {
            total: 2000 * GIB,
            ..space(156)
        };
        disks.record(larger, 0, begin);
        assert_eq!(disks.days_left(larger, 0), None, "it has another size");
    }

    #[test]
    fn retention_runs_at_once_and_then_every_minute() {
        let (disks, now) = (Disks::default(), Instant::now());
        let second = |count| now + Duration::from_secs(count);
        let due = |full, at| disks.retention_is_due(&primary(), full, second(at));
        assert!(!due(false, 0) && due(true, 10) && !due(true, 69) && due(true, 70));
        // Not more often if the free space varies around the reserve.
        assert!(!due(true, 80) && !due(false, 90) && !due(true, 100) && due(true, 130));
    }

    #[test]
    fn the_rate_of_wal_is_that_of_the_last_hour() {
        let (disks, now) = (Disks::default(), Instant::now());
        assert_eq!(disks.wal_rate(&primary()), 0);
        for minute in 0..600_u32 {
            let at = now + minute * HOUR / 60;
            let received = Lsn(u64::from(minute) * 60 * if minute < 300 { 7 } else { 9 } + 1);
            disks.record_wal(&primary(), received, at);
        }
        assert_eq!(disks.wal_rate(&primary()), 9);
        disks.record_wal(&primary(), Lsn(1), now + 600 * HOUR);
        assert_eq!(disks.wal_rate(&primary()), 0, "begun anew");
    }
}
