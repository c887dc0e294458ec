//! What is due, and in which order.

use crate::repository::VerificationInfo;
use crate::unit::Label;

/// Something to verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The WAL archive.
    Wal,
    Backup(Label),
}

/// Whether what was verified at `last` is due `now`, all in seconds. A time in the future is of
/// another clock.
pub(super) fn is_due(last: Option<i64>, now: i64, period: u64) -> bool {
    let elapsed = last.and_then(|last| u64::try_from(now.saturating_sub(last)).ok());
    elapsed.is_none_or(|elapsed| elapsed >= period)
}

/// What is due of the WAL archive and of these backups, which are sorted: first what was not
/// verified yet, then what was not verified for the longest time.
pub(super) fn due(
    backups: impl IntoIterator<Item = Label>,
    info: &VerificationInfo,
    now: i64,
    period: u64,
) -> Vec<Due> {
    let wal = info.unfinished.as_ref().or(info.wal.as_ref());
    let mut all = vec![(wal.map(|wal| wal.begun), Due::Wal)];
    all.extend(backups.into_iter().map(|label| {
        let last = info.backup(&label).map(|verified| verified.at);
        (last, Due::Backup(label))
    }));
    all.retain(|(last, one)| {
        let unfinished = *one == Due::Wal && info.unfinished.is_some();
        unfinished || is_due(*last, now, period)
    });
    all.sort_by_key(|(last, _)| last.filter(|last| *last <= now));
    all.into_iter().map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::WalFindings;

    const DAY: u64 = 86_400;

    fn label(day: u32) -> Label {
        format!("202601{day:02}000000").parse().unwrap()
    }

    #[test]
    fn what_was_verified_the_longest_time_ago_is_first() {
        let now = 1_000_000;
        let mut info = VerificationInfo::default();
        let labels = || (1..=5).map(label);
        let backup = |day| Due::Backup(label(day));
        let all: Vec<Due> = [Due::Wal].into_iter().chain((1..=5).map(backup)).collect();
        assert_eq!(due(labels(), &info, now, DAY), all);
        let hours = |hours: i64| now - hours * 3600;
        // In the order of their verification, without those of the last day.
        for (day, at) in [
            (1, hours(30)),
            (2, hours(10)),
            (3, hours(40)),
            (4, hours(24)),
        ] {
            info.set_backup(&label(day), at, None);
        }
        info.wal = Some(WalFindings::new(hours(35)));
        assert_eq!(
            due(labels(), &info, now, DAY),
            [backup(5), backup(3), Due::Wal, backup(1), backup(4)]
        );
        // The clock was in the future when it was verified.
        info.set_backup(&label(2), now + 1, None);
        info.wal = Some(WalFindings::new(hours(1)));
        let found = due(labels(), &info, now, DAY);
        assert_eq!(
            found,
            [backup(2), backup(5), backup(3), backup(1), backup(4)]
        );
        // What was interrupted goes on.
        info.unfinished = Some(WalFindings::new(hours(2)));
        assert_eq!(due([], &info, now, DAY), [Due::Wal]);
    }
}
