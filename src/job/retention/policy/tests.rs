#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // small numbers

use super::*;

const NONE: Retention = Retention {
    days: None,
    weeks: None,
    months: None,
    years: None,
};

fn at(text: &str) -> DateTime {
    text.parse().unwrap()
}

fn label(text: &str) -> Label {
    text.parse().unwrap()
}

fn backup(text: &str) -> BackupFacts {
    BackupFacts {
        label: label(text),
        validity: Validity::Valid,
        retained: false,
        parent: None,
        on_path: true,
    }
}

fn policy(retention: Retention) -> Policy {
    Policy {
        retention,
        minimum: 1,
    }
}

/// The kept labels, without the zeros of the time of day, and the reasons.
fn kept(backups: &[BackupFacts], now: &str, policy: &Policy) -> Vec<String> {
    let decisions = decide(backups, (at(now), Clock::Steady), policy);
    let pairs = backups.iter().zip(decisions);
    pairs
        .filter_map(|(backup, decision)| match decision {
            Decision::Keep(reason) => Some(format!("{}: {reason}", backup.label)),
            Decision::Expire(_) => None,
        })
        .collect()
}

/// A backup at 03:00 of each day.
fn daily(from: &str, to: &str) -> Vec<BackupFacts> {
    let (mut day, to): (Date, Date) = (from.parse().unwrap(), to.parse().unwrap());
    let mut backups = Vec::new();
    while day <= to {
        backups.push(backup(&day.strftime("%Y%m%d030000").to_string()));
        day = day.tomorrow().unwrap();
    }
    backups
}

#[test]
fn the_days_and_the_newest_of_each_calendar_period_are_kept() {
    let retention = Retention {
        days: Some(3),
        weeks: Some(3),
        months: Some(3),
        years: Some(2),
    };
    // 2026-11-25 is a Wednesday.
    let backups = daily("2024-06-01", "2026-11-25");
    assert_eq!(
        kept(&backups, "2026-11-25T12:00:00", &policy(retention)),
        [
            "20251231030000: the newest of the year 2025",
            "20260930030000: the newest of the month 2026-09",
            "20261031030000: the newest of the month 2026-10",
            "20261115030000: the newest of the week from 2026-11-09",
            "20261122030000: the newest of the week from 2026-11-16",
            "20261123030000: of the last 3 days",
            "20261124030000: of the last 3 days",
            "20261125030000: the newest valid backup",
        ]
    );
}

#[test]
fn the_newest_of_a_period_is_kept_whatever_its_weekday_and_a_missing_period_takes_no_other() {
    let weeks = Retention {
        weeks: Some(4),
        ..NONE
    };
    let backups = [
        "20261020000000", // five weeks ago
        "20261105000000", // Thursday, three weeks ago
        "20261107000000", // Saturday of the same week
        "20261124000000",
    ];
    let backups = backups.map(backup);
    assert_eq!(
        kept(&backups, "2026-11-25T00:00:00", &policy(weeks)),
        [
            "20261107000000: the newest of the week from 2026-11-02",
            "20261124000000: the newest valid backup",
        ]
    );
    let months = Retention {
        days: Some(7),
        months: Some(3),
        ..NONE
    };
    let all = kept(&backups, "2026-11-25T00:00:00", &policy(months));
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].starts_with("20261020000000: the newest of the month 2026-10"));
    // The week of the new year has one newest backup.
    let backups = daily("2025-12-29", "2026-01-04");
    let all = kept(&backups, "2026-01-11T12:00:00", &policy(weeks));
    assert_eq!(all.len(), 1, "{all:?}");
}

#[test]
fn after_a_long_time_without_backups_the_newest_and_the_minimum_stay() {
    let week = Retention {
        days: Some(7),
        ..NONE
    };
    let backups = daily("2026-01-01", "2026-01-20");
    let mut policy = policy(week);
    assert_eq!(
        kept(&backups, "2026-11-25T12:00:00", &policy),
        ["20260120030000: the newest valid backup"]
    );
    policy.minimum = 3;
    let all = kept(&backups, "2026-11-25T12:00:00", &policy);
    assert_eq!(all.len(), 3);
    assert!(
        all[0].ends_with("one of the 3 newest valid backups"),
        "{all:?}"
    );
}

#[test]
fn a_day_has_24_hours_and_ends_to_the_second() {
    let day = Retention {
        days: Some(1),
        ..NONE
    };
    let backups = ["20261124115959", "20261124120000", "20261125120000"].map(backup);
    let all = kept(&backups, "2026-11-25T12:00:00", &policy(day));
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0], "20261124120000: of the last day");
}

#[test]
fn what_a_kept_backup_is_based_on_is_kept() {
    let day = policy(Retention {
        days: Some(1),
        ..NONE
    });
    let mut backups = daily("2026-11-01", "2026-11-25");
    for child in [2, 1, 24, 5, 4] {
        backups[child].parent = Some(backups[child - 1].label.clone());
    }
    backups[24].parent = Some(backups[2].label.clone());
    backups[9].parent = Some(label("20200101000000"));
    let all = kept(&backups, "2026-11-25T12:00:00", &day);
    assert_eq!(
        all[..3],
        [
            "20261101030000: the backup 20261102030000 is based on it",
            "20261102030000: the backup 20261103030000 is based on it",
            "20261103030000: the backup 20261125030000 is based on it",
        ]
    );
    assert_eq!(all.len(), 4, "{all:?}");
    // A circle ends too.
    backups[0].parent = Some(backups[2].label.clone());
    assert_eq!(kept(&backups, "2026-11-25T12:00:00", &day).len(), 4);
}

#[test]
fn the_newest_backup_on_the_way_to_the_timeline_of_the_server_stays() {
    let mut backups = [
        backup("20260101030000"),
        backup("20260102030000"),
        backup("20260103030000"),
    ];
    backups[2].on_path = false;
    let policy = Policy {
        retention: Retention {
            days: Some(1),
            ..Retention::default()
        },
        minimum: 1,
    };
    let now = "2026-11-25T12:00:00".parse().unwrap();
    let decisions = decide(&backups, (now, Clock::Steady), &policy);
    assert_eq!(
        decisions,
        [
            Decision::Expire(ExpireReason::NoRule),
            Decision::Keep(KeepReason::NewestOnPath),
            Decision::Keep(KeepReason::Newest),
        ]
    );
}

#[test]
fn what_cannot_be_relied_on_stays_and_is_not_the_newest() {
    let mut backups = [backup("20260101030000"), backup("20260102030000")];
    backups[1].validity = Validity::Untrusted;
    let policy = Policy {
        retention: Retention::default(),
        minimum: 1,
    };
    let now = "2026-11-25T12:00:00".parse().unwrap();
    let decisions = decide(&backups, (now, Clock::Steady), &policy);
    let expected = [KeepReason::Newest, KeepReason::Untrusted];
    assert_eq!(decisions, expected.map(Decision::Keep));
}

#[test]
fn invalid_backups_go_after_a_day_unless_no_backup_is_valid() {
    let day = policy(Retention {
        days: Some(1),
        ..NONE
    });
    let mut backups = daily("2026-11-20", "2026-11-25");
    let invalid = |since: Option<&str>| Validity::Invalid(since.map(at));
    backups[0].validity = invalid(None);
    backups[1].validity = Validity::Unreadable;
    backups[2].validity = invalid(Some("2026-11-25T01:00:00"));
    backups[3].validity = invalid(Some("2026-11-24T01:00:00"));
    backups[4].validity = invalid(Some("2026-11-24T03:00:00"));
    backups[4].retained = true;
    assert_eq!(
        kept(&backups, "2026-11-25T12:00:00", &day),
        [
            "20261121030000: its lists cannot be read now",
            "20261122030000: not valid, for less than a day",
            "20261124030000: excluded from retention by `retain`",
            "20261125030000: the newest valid backup",
        ]
    );
    backups[5].validity = invalid(None);
    assert_eq!(kept(&backups, "2026-11-30T12:00:00", &day).len(), 6);
}

#[test]
fn a_wrong_clock_removes_nothing() {
    let day = policy(Retention {
        days: Some(1),
        ..NONE
    });
    let backups = daily("2026-11-01", "2026-11-25");
    let all = kept(&backups, "2026-11-24T12:00:00", &day);
    assert_eq!(all.len(), backups.len());
    assert!(
        all[0].ends_with("nothing expires: the backup 20261125030000 is dated after now"),
        "{all:?}"
    );
    let decisions = decide(&backups, (at("2036-11-25T12:00:00"), Clock::Jumped), &day);
    assert_eq!(decisions[0], Decision::Keep(KeepReason::ClockJumped));
    assert_eq!(kept(&backups, "2036-11-25T12:00:00", &day).len(), 1);
    // The digits of this label are no date.
    let mut odd = backups;
    odd.push(backup("99999999999999"));
    let all = kept(&odd, "2026-11-25T12:00:00", &day);
    assert_eq!(all.len(), 2, "{all:?}");
}

/// A sequence of random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    }

    fn one_in(&mut self, limit: u64) -> bool {
        self.below(limit) == 0
    }

    fn count(&mut self, limit: u64) -> Option<u32> {
        (!self.one_in(3)).then(|| self.below(limit) as u32 + 1)
    }

    fn policy(&mut self) -> Policy {
        Policy {
            retention: Retention {
                days: self.count(30),
                weeks: self.count(8),
                months: self.count(14),
                years: self.count(5),
            },
            minimum: self.below(6) as u32,
        }
    }

    /// Backups of up to four years before `now`, few of them after it.
    fn history(&mut self, now: DateTime) -> Vec<BackupFacts> {
        let hours = [30, 24 * 40, 24 * 1500][self.below(3) as usize];
        let mut times: Vec<DateTime> = Vec::new();
        for _ in 0..self.below(60) {
            let back = Span::new().minutes(self.below(hours * 60) as i64);
            times.push(now - back);
        }
        if self.one_in(20) {
            times.push(now + Span::new().hours(self.below(100) as i64));
        }
        times.sort();
        times.dedup();
        let mut backups: Vec<BackupFacts> = Vec::new();
        for time in times {
            let mut next = backup(&time.strftime("%Y%m%d%H%M%S").to_string());
            next.retained = self.one_in(15);
            next.validity = match self.below(12) {
                0 => Validity::Invalid(None),
                1 => Validity::Invalid(Some(time + Span::new().hours(self.below(60) as i64))),
                2 => Validity::Unreadable,
                _ => Validity::Valid,
            };
            if self.one_in(3) && !backups.is_empty() {
                let parent = self.below(backups.len() as u64) as usize;
                next.parent = Some(backups[parent].label.clone());
            }
            backups.push(next);
        }
        backups
    }
}

fn is_kept(decision: &Decision) -> bool {
    matches!(decision, Decision::Keep(_))
}

/// The backups that are kept.
fn remaining(backups: &[BackupFacts], decisions: &[Decision]) -> Vec<BackupFacts> {
    let pairs = backups.iter().zip(decisions);
    let kept = pairs.filter(|(_, decision)| is_kept(decision));
    kept.map(|(backup, _)| backup.clone()).collect()
}

fn larger(one: Option<u32>, add: u64) -> Option<u32> {
    match (one, add) {
        (count, 0) => count,
        (count, add) => Some(count.unwrap_or(0) + add as u32),
    }
}

#[test]
fn ten_thousand_random_histories_keep_what_must_be_kept() {
    let first: u64 = match std::env::var("PGMONETA_TEST_SEED") {
        Ok(seed) => seed.parse().expect("PGMONETA_TEST_SEED is a number"),
        Err(_) => std::process::id().into(),
    };
    for seed in first..first + 10_000 {
        println!("PGMONETA_TEST_SEED={seed}"); // shown if it fails
        check_history(seed);
    }
}

fn check_history(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let now = at("2026-01-15T12:00:00") + Span::new().minutes(random.below(600_000) as i64);
    let (policy, backups) = (random.policy(), random.history(now));
    let clock = if random.one_in(30) {
        Clock::Jumped
    } else {
        Clock::Steady
    };
    let decisions = decide(&backups, (now, clock), &policy);
    let text =
        || format!("PGMONETA_TEST_SEED={seed}: {now} {policy:?} {backups:#?} {decisions:#?}");
    assert_eq!(decisions.len(), backups.len());

    // The newest and the minimum are kept.
    let valid = || {
        (0..backups.len())
            .rev()
            .filter(|index| backups[*index].is_valid())
    };
    for index in valid().take(policy.minimum.max(1) as usize) {
        assert!(is_kept(&decisions[index]), "{index} is needed; {}", text());
    }
    // What is kept has all that it is based on, and what is retained or unreadable is kept.
    let find = |label: &Label| backups.iter().position(|backup| backup.label == *label);
    for (backup, decision) in backups.iter().zip(&decisions) {
        let parent = backup.parent.as_ref().and_then(find);
        if is_kept(decision)
            && let Some(parent) = parent
        {
            assert!(is_kept(&decisions[parent]), "{}; {}", backup.label, text());
        }
        if backup.retained || backup.validity == Validity::Unreadable {
            assert!(is_kept(decision), "{}; {}", backup.label, text());
        }
    }
    // Nothing expires while a backup is dated after now, or without a valid backup.
    let future = backups
        .iter()
        .any(|backup| backup.label.time().unwrap() > now);
    if future || clock == Clock::Jumped || valid().next().is_none() {
        assert!(decisions.iter().all(is_kept), "{}", text());
    }
    // Deciding again on what is kept changes nothing.
    let left = remaining(&backups, &decisions);
    let again = decide(&left, (now, clock), &policy);
    assert_eq!(remaining(&left, &again), left, "not idempotent; {}", text());
    // So does removing them one by one, deciding anew each time.
    let mut rest = if random.one_in(10) {
        backups.clone()
    } else {
        left.clone()
    };
    while let Some(index) = decide(&rest, (now, clock), &policy)
        .iter()
        .position(|decision| !is_kept(decision))
    {
        rest.remove(index);
    }
    assert_eq!(rest, left, "{}", text());
    check_larger_policy(&mut random, (&backups, &decisions), (now, clock), policy);
}

/// A larger policy keeps no backup less.
fn check_larger_policy(
    random: &mut Random,
    (backups, decisions): (&[BackupFacts], &[Decision]),
    now: (DateTime, Clock),
    policy: Policy,
) {
    let mut more = policy;
    more.minimum += random.below(3) as u32;
    let retention = &mut more.retention;
    retention.days = larger(retention.days, random.below(3));
    retention.weeks = larger(retention.weeks, random.below(3));
    retention.months = larger(retention.months, random.below(3));
    retention.years = larger(retention.years, random.below(3));
    let other = decide(backups, now, &more);
    for (index, (one, other)) in decisions.iter().zip(&other).enumerate() {
        assert!(
            !is_kept(one) || is_kept(other),
            "{index} is not kept by {more:?}; {}",
            format_args!("{policy:?} {backups:#?}")
        );
    }
}
