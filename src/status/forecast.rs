//! When a disk will be full.

/// The free bytes of a disk at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Seconds since the first sample.
    pub seconds: u64,
    pub free: u64,
}

/// How many samples are enough.
const MIN_SAMPLES: usize = 12;

/// More days than this are not said: nobody knows.
const MAX_DAYS: u64 = 3650;

const DAY: i128 = 86_400;

/// In a shorter time the disk may fill as it does every day, until retention makes room: only that
/// it will be full in less than a day is said then.
const MIN_SECONDS: u64 = 2 * 86_400;

/// In how many whole days `left` bytes will be used up, if the disk goes on to fill as in the
/// samples. `None` if there are too few of them, or if it does not get fuller.
///
/// The growth is the median of those between any two samples (Theil and Sen): a backup that is
/// written, or one that is removed, changes the free space by much in a short time, and is a trend
/// only if it happens again and again.
pub(super) fn days_until(samples: &[Sample], left: u64) -> Option<u64> {
    if samples.len() < MIN_SAMPLES {
        return None;
    }
    let mut growths = Vec::new();
    for (number, one) in samples.iter().enumerate() {
        for other in samples.iter().skip(number + 1) {
            let used = i128::from(one.free) - i128::from(other.free);
            let seconds = i128::from(other.seconds) - i128::from(one.seconds);
            growths.extend((used * DAY).checked_div(seconds));
        }
    }
    let middle = growths.len() / 2;
    let per_day = match growths.get(middle) {
        Some(_) => *growths.select_nth_unstable(middle).1,
        None => return None,
    };
    if per_day <= 0 {
        return None;
    }
    let days = u64::try_from(i128::from(left) / per_day).ok()?;
    let is_short = samples.last().is_none_or(|last| last.seconds < MIN_SECONDS);
    let max = if is_short { 0 } else { MAX_DAYS };
    Some(days).filter(|days| *days <= max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn hourly(free: impl Fn(u64) -> u64, count: u64) -> Vec<Sample> {
        let sample = |hour| Sample {
            seconds: hour * HOUR,
            free: free(hour),
        };
        (0..count).map(sample).collect()
    }

    #[test]
    fn steady_growth_goes_on() {
        let samples = hourly(|hour| 10_000 - hour * 10, 49);
        assert_eq!(days_until(&samples, 2400), Some(10));
        assert_eq!(days_until(&samples, 239), Some(0));
        assert_eq!(days_until(&samples, 0), Some(0));
        assert_eq!(days_until(&samples, u64::MAX), None, "nobody knows");
        // In less than two days only the worst is said.
        let samples = hourly(|hour| 10_000 - hour * 10, 24);
        assert_eq!(days_until(&samples, 2400), None);
        assert_eq!(days_until(&samples, 239), Some(0));
    }

    #[test]
    fn what_fills_each_day_until_retention_makes_room_is_no_trend() {
        let samples = hourly(|hour| 10_000 - hour % 24 * 100, 168);
        let days = days_until(&samples, 2400);
        assert!(days.is_none_or(|days| days > 7), "{days:?}");
    }

    #[test]
    fn too_few_samples_say_nothing() {
        let samples = hourly(|hour| 10_000 - hour * 10, 11);
        assert_eq!(days_until(&samples, 1), None);
        assert_eq!(days_until(&[], 1), None);
        let at_once = hourly(|_| 7, 1).repeat(50);
        assert_eq!(days_until(&at_once, 1), None);
    }

    #[test]
    fn a_disk_that_does_not_fill_is_never_full() {
        assert_eq!(days_until(&hourly(|_| 500, 24), 500), None);
        let emptier = hourly(|hour| 500 + hour * 10, 24);
        assert_eq!(days_until(&emptier, 500), None);
    }

    #[test]
    fn one_backup_or_one_removal_is_no_trend() {
        for at in [1, 3, 12, 50, 71] {
            let backup = |hour| 100_000 - hour * 10 - if hour == at { 50_000 } else { 0 };
            assert_eq!(days_until(&hourly(backup, 72), 2400), Some(10), "{at}");
        }
        // A backup that stays, or the removal of one, late or early in the day.
        for at in [6, 66] {
            let kept = |hour| 100_000 - hour * 10 - if hour >= at { 50_000 } else { 0 };
            assert!(days_until(&hourly(kept, 72), 2400) >= Some(8), "{at}");
            let removed = |hour| 100_000 - hour * 10 + if hour >= at { 50_000 } else { 0 };
            assert!(days_until(&hourly(removed, 72), 2400) <= Some(12), "{at}");
        }
    }
}
