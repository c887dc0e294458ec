//! Which backups are kept, and why: a pure function.
//!
//! Labels are local time, those of this and of the C program, so all dates here are local too.
//!
//! Kept are all backups of the last N days, to the second, and the newest valid backup of each of
//! the last N calendar weeks (they begin on Monday), months and years. The current week, month or
//! year is the first of the N. A period without a backup is not replaced by an older one: a backup
//! of five weeks ago is not among "four weeks" because there was none last week. If there were no
//! backups for long, the newest ones stay all the same (`retention_minimum`), and so does the
//! newest one from which the server can be recovered on its timeline.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Span;
use jiff::civil::{Date, DateTime};

use crate::config::Retention;
use crate::unit::Label;

/// How long a backup that is not valid stays, so that somebody can look at it, hours.
const INVALID_HOURS: i64 = 24;

/// What the policy needs to know of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BackupFacts {
    pub label: Label,
    pub validity: Validity,
    /// Whether it is excluded from retention.
    pub retained: bool,
    /// The backup on which it is based, if it is incremental.
    pub parent: Option<Label>,
    /// Whether it is on the way to the timeline of the server, or that is not known.
    pub on_path: bool,
}

/// Whether a backup can be restored, as far as known without reading its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    Valid,
    /// It is not valid, at the latest since this time; `None` if that is unknown.
    Invalid(Option<DateTime>),
    /// An error of the system hides what it is.
    Unreadable,
    /// Its `backup.info` cannot be relied on.
    Untrusted,
    /// The last verification found something wrong.
    Suspect,
}

/// What the configuration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub retention: Retention,
    /// How many valid backups are always kept.
    pub minimum: u32,
}

/// What becomes of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Keep(KeepReason),
    Expire(ExpireReason),
}

/// Why a backup is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeepReason {
    /// It is the newest valid one.
    Newest,
    /// It is the newest valid one from which the server can be recovered: the newest of all is of
    /// another branch.
    NewestOnPath,
    /// It is one of that many newest valid ones.
    Minimum(u32),
    /// `retain` excluded it.
    Retained,
    /// It is of the last days.
    Days(u32),
    /// It is the newest one of the week that begins on that Monday.
    Week(Date),
    /// It is the newest one of the month with that first day.
    Month(Date),
    /// It is the newest one of that year.
    Year(i16),
    /// A backup that is kept is based on it.
    NeededBy(Label),
    /// An error of the system hides what it is.
    Unreadable,
    /// Its `backup.info` cannot be relied on.
    Untrusted,
    /// The last verification found something wrong.
    Suspect,
    /// It is not valid, for less than a day.
    RecentlyInvalid,
    /// It is not valid, and neither is any other.
    NoneValid,
    /// Its label is no date.
    NoDate,
    /// That backup is dated after now: the clock is wrong, now or when it was taken.
    FutureBackup(Label),
    /// The clock has just jumped forward.
    ClockJumped,
}

/// Why a backup is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExpireReason {
    /// No rule keeps it.
    NoRule,
    /// It is not valid.
    Invalid,
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeepReason::Newest => f.write_str("the newest valid backup"),
            KeepReason::NewestOnPath => {
                f.write_str("the newest valid backup on the way to the timeline of the server")
            }
            KeepReason::Minimum(count) => {
                write!(f, "one of the {count} newest valid backups")
            }
            KeepReason::Retained => f.write_str("excluded from retention by `retain`"),
            KeepReason::Days(1) => f.write_str("of the last day"),
            KeepReason::Days(days) => write!(f, "of the last {days} days"),
            KeepReason::Week(monday) => write!(f, "the newest of the week from {monday}"),
            KeepReason::Month(first) => {
                write!(f, "the newest of the month {}", first.strftime("%Y-%m"))
            }
            KeepReason::Year(year) => write!(f, "the newest of the year {year}"),
            KeepReason::NeededBy(label) => write!(f, "the backup {label} is based on it"),
            KeepReason::Unreadable => f.write_str("its lists cannot be read now"),
            KeepReason::Untrusted => f.write_str(
                "its backup.info is damaged, was changed, or has another master key: whether it \
                 is retained is not known",
            ),
            KeepReason::Suspect => f.write_str(
                "the last verification found something wrong with it: see `status`, and verify \
                 it again",
            ),
            KeepReason::RecentlyInvalid => f.write_str("not valid, for less than a day"),
            KeepReason::NoneValid => f.write_str("not valid, and neither is any other backup"),
            KeepReason::NoDate => f.write_str("its label is no date"),
            KeepReason::FutureBackup(label) => {
                write!(f, "nothing expires: the backup {label} is dated after now")
            }
            KeepReason::ClockJumped => {
                f.write_str("nothing expires: the clock jumped forward less than a day ago")
            }
        }
    }
}

impl fmt::Display for ExpireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExpireReason::NoRule => "no rule of retention keeps it",
            ExpireReason::Invalid => "not valid, for more than a day",
        })
    }
}

/// Whether the clock can be trusted, as far as known besides the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    Steady,
    /// It has just jumped forward.
    Jumped,
}

/// Decides for each of `backups`, which are sorted by label, at the local time `now`. Keeping what
/// is kept and deciding again changes nothing, and a larger number in the policy keeps no backup
/// less.
pub(super) fn decide(
    backups: &[BackupFacts],
    (now, clock): (DateTime, Clock),
    policy: &Policy,
) -> Vec<Decision> {
    let future = backups
        .iter()
        .rev()
        .find(|backup| backup.label.time().is_some_and(|time| time > now));
    let refusal = match (future, clock) {
        (Some(backup), _) => Some(KeepReason::FutureBackup(backup.label.clone())),
        (None, Clock::Jumped) => Some(KeepReason::ClockJumped),
        (None, Clock::Steady) => None,
    };
    let rules = kept_by_rules(backups, now, policy);
    let none_valid = !backups.iter().any(BackupFacts::is_valid);
    let decisions = backups.iter().map(|backup| {
        if let Some(reason) = rules.get(&backup.label) {
            return Decision::Keep(reason.clone());
        }
        match own_reason(backup, none_valid, now).or_else(|| refusal.clone()) {
            Some(reason) => Decision::Keep(reason),
            None if backup.is_valid() => Decision::Expire(ExpireReason::NoRule),
            None => Decision::Expire(ExpireReason::Invalid),
        }
    });
    let mut decisions: Vec<Decision> = decisions.collect();
    keep_parents(backups, &mut decisions);
    decisions
}

impl BackupFacts {
    fn is_valid(&self) -> bool {
        self.validity == Validity::Valid
    }
}

/// The valid backups that a rule keeps, each with the first rule that does.
fn kept_by_rules(
    backups: &[BackupFacts],
    now: DateTime,
    policy: &Policy,
) -> BTreeMap<Label, KeepReason> {
    let newest_first: Vec<&BackupFacts> = backups
        .iter()
        .rev()
        .filter(|backup| backup.is_valid())
        .collect();
    let mut kept = BTreeMap::new();
    let mut keep = |backup: &BackupFacts, reason: KeepReason| {
        kept.entry(backup.label.clone()).or_insert(reason);
    };
    let minimum = policy.minimum.max(1);
    for (number, backup) in (0..minimum).zip(&newest_first) {
        let newest = number == 0;
        keep(
            backup,
            if newest {
                KeepReason::Newest
            } else {
                KeepReason::Minimum(minimum)
            },
        );
    }
    if let Some(newest) = newest_first.iter().find(|backup| backup.on_path) {
        keep(newest, KeepReason::NewestOnPath);
    }
    let Retention {
        days,
        weeks,
        months,
        years,
    } = policy.retention;
    let dated = newest_first.iter();
    let dated = dated.filter_map(|backup| Some((*backup, backup.label.time()?)));
    let dated: Vec<(&BackupFacts, DateTime)> = dated.collect();
    if let Some(days) = days {
        let begin = days_before(now, days);
        let recent = dated.iter();
        let recent = recent.filter(|(_, time)| begin.is_none_or(|begin| *time >= begin));
        recent.for_each(|(backup, _)| keep(backup, KeepReason::Days(days)));
    }
    let mut keep_newest_of = |period: fn(Date) -> (i64, KeepReason), count: Option<u32>| {
        let current = period(now.date()).0;
        let count = i64::from(count.unwrap_or(0));
        let mut done = BTreeSet::new();
        for (backup, time) in &dated {
            let (number, reason) = period(time.date());
            let back = current.saturating_sub(number);
            let is_asked_for = (0..count).contains(&back);
            if done.insert(number) && is_asked_for {
                keep(backup, reason);
            }
        }
    };
    keep_newest_of(week, weeks);
    keep_newest_of(month, months);
    keep_newest_of(year, years);
    kept
}

/// Why a backup is kept whatever the rules say.
fn own_reason(backup: &BackupFacts, none_valid: bool, now: DateTime) -> Option<KeepReason> {
    let Some(label_time) = backup.label.time() else {
        return Some(KeepReason::NoDate);
    };
    if backup.retained {
        return Some(KeepReason::Retained);
    }
    match backup.validity {
        Validity::Valid => None,
        Validity::Unreadable => Some(KeepReason::Unreadable),
        Validity::Untrusted => Some(KeepReason::Untrusted),
        Validity::Suspect => Some(KeepReason::Suspect),
        Validity::Invalid(_) if none_valid => Some(KeepReason::NoneValid),
        Validity::Invalid(since) => {
            let since = since.map_or(label_time, |since| since.max(label_time));
            let end = since.checked_add(Span::new().hours(INVALID_HOURS));
            let is_over = end.is_ok_and(|end| end < now);
            (!is_over).then_some(KeepReason::RecentlyInvalid)
        }
    }
}

/// Keeps what the kept backups are based on.
fn keep_parents(backups: &[BackupFacts], decisions: &mut [Decision]) {
    let index: BTreeMap<&Label, usize> = (backups.iter().map(|backup| &backup.label))
        .zip(0..)
        .collect();
    for (start, backup) in backups.iter().enumerate() {
        if !matches!(decisions.get(start), Some(Decision::Keep(_))) {
            continue;
        }
        let mut child = backup;
        while let Some(parent) = child.parent.as_ref()
            && let Some(&at) = index.get(parent)
            && let (Some(facts), Some(decision)) = (backups.get(at), decisions.get_mut(at))
            && matches!(decision, Decision::Expire(_))
        {
            *decision = Decision::Keep(KeepReason::NeededBy(child.label.clone()));
            child = facts;
        }
    }
}

/// The same time that many days ago; `None` before the first year.
pub(super) fn days_before(now: DateTime, days: u32) -> Option<DateTime> {
    now.checked_sub(Span::new().try_days(days).ok()?).ok()
}

/// The number of a calendar week; weeks begin on Monday.
fn week(day: Date) -> (i64, KeepReason) {
    let monday = day.weekday().to_monday_zero_offset();
    let monday = day.saturating_sub(Span::new().days(monday));
    let epoch = Date::constant(1969, 12, 29); // a Monday
    let days = monday.duration_since(epoch).as_hours() / 24;
    (days.div_euclid(7), KeepReason::Week(monday))
}

fn month(day: Date) -> (i64, KeepReason) {
    let number = i64::from(day.year()) * 12 + i64::from(day.month());
    (number, KeepReason::Month(day.first_of_month()))
}

fn year(day: Date) -> (i64, KeepReason) {
    (i64::from(day.year()), KeepReason::Year(day.year()))
}

#[cfg(test)]
mod tests;
