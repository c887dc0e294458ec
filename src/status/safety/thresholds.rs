//! The limits that can be set: rows of a table.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::unit::{ByteSize, Span, human_duration};

/// What is measured and has limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// The age of the newest valid backup.
    BackupAge,
    /// WAL of the server that is not durable here.
    Rpo,
    /// The age of the newest state of the server that is durable here.
    RpoAge,
    /// How long until the disk is full.
    TimeLeft,
    /// How long ago all of the archived WAL was verified.
    VerificationAge,
}

/// Which values of a measure are worse than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    /// Larger ones.
    Above,
    /// Smaller ones.
    Below,
}

/// A row of the table: a measure with its name and its default limits.
pub struct LimitRow {
    /// What it is about.
    pub measure: Measure,
    /// How it is typed.
    pub key: &'static str,
    /// The unit: `s` or `B`.
    pub unit: &'static str,
    /// Which values are worse.
    pub worse: Worse,
    /// The default limit of a warning, if there is one.
    pub warning: Option<u64>,
    /// The default limit of what is critical, if there is one.
    pub critical: Option<u64>,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// All measures.
#[rustfmt::skip] // One row per line.
pub static LIMITS: [LimitRow; 5] = [
    row(Measure::BackupAge, "backup-age", "s", Worse::Above, Some(26 * HOUR), Some(50 * HOUR)),
    row(Measure::Rpo, "rpo", "B", Worse::Above, Some(64 << 20), Some(1 << 30)),
    row(Measure::RpoAge, "rpo-age", "s", Worse::Above, Some(MINUTE), Some(5 * MINUTE)),
    row(Measure::TimeLeft, "time-left", "s", Worse::Below, Some(7 * DAY), Some(DAY)),
    row(Measure::VerificationAge, "verification-age", "s", Worse::Above, None, None),
];

const fn row(
    measure: Measure,
    key: &'static str,
    unit: &'static str,
    worse: Worse,
    warning: Option<u64>,
    critical: Option<u64>,
) -> LimitRow {
    LimitRow {
        measure,
        key,
        unit,
        worse,
        warning,
        critical,
    }
}

/// A limit for each measure that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits(BTreeMap<Measure, u64>);

/// The limits of both severities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Beyond these there is a warning.
    pub warning: Limits,
    /// Beyond these it is critical.
    pub critical: Limits,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        let limits = |limit: fn(&LimitRow) -> Option<u64>| {
            let rows = LIMITS.iter();
            Limits(
                rows.filter_map(|row| Some((row.measure, limit(row)?)))
                    .collect(),
            )
        };
        Thresholds {
            warning: limits(|row| row.warning),
            critical: limits(|row| row.critical),
        }
    }
}

impl Thresholds {
    /// The default ones, changed by texts such as `backup-age=26h,rpo=64MB`; an empty text changes
    /// nothing.
    pub fn parse(warning: &str, critical: &str) -> Result<Thresholds> {
        let mut thresholds = Thresholds::default();
        thresholds.warning.change("--warning", warning)?;
        thresholds.critical.change("--critical", critical)?;
        Ok(thresholds)
    }

    /// Those of the command `status`: what does not depend on how backups are planned.
    pub fn of_status() -> Thresholds {
        Thresholds {
            warning: Limits::default(),
            critical: Limits([(Measure::TimeLeft, DAY)].into()),
        }
    }
}

impl Limits {
    /// The limit of a measure, if it has one.
    pub fn get(&self, measure: Measure) -> Option<u64> {
        self.0.get(&measure).copied()
    }

    /// Sets what `text` names, which is the value of `option`; `off` is no limit.
    fn change(&mut self, option: &str, text: &str) -> Result<()> {
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let (key, value) = (key.trim(), value.trim());
            let row = LIMITS.iter().find(|row| row.key == key).ok_or_else(|| {
                let keys: Vec<&str> = LIMITS.iter().map(|row| row.key).collect();
                let message = format!("{option}: there is no threshold {key:?}");
                Error::new(ErrorKind::Usage, message)
                    .with_hint(format!("the thresholds are {}", keys.join(", ")))
            })?;
            if value == "off" {
                self.0.remove(&row.measure);
                continue;
            }
            self.0.insert(row.measure, row.value(option, value)?);
        }
        Ok(())
    }
}

impl LimitRow {
    /// The row of a measure.
    pub fn of(measure: Measure) -> Option<&'static LimitRow> {
        LIMITS.iter().find(|row| row.measure == measure)
    }

    /// Whether a value is beyond a limit.
    pub fn is_beyond(&self, value: u64, limit: u64) -> bool {
        match self.worse {
            Worse::Above => value > limit,
            Worse::Below => value < limit,
        }
    }

    /// A value with its unit.
    pub fn text(&self, value: u64) -> String {
        match self.unit {
            "B" => ByteSize(value).to_string(),
            _ => human_duration(value),
        }
    }

    fn value(&self, option: &str, text: &str) -> Result<u64> {
        let parsed = match self.unit {
            "B" => text.parse().map(|ByteSize(bytes)| bytes),
            _ => text.parse().map(|Span(seconds)| seconds),
        };
        parsed.map_err(|error| {
            let message = format!("{option}: {}: {}", self.key, error.message());
            let example = if self.unit == "B" { "64MB" } else { "26h" };
            Error::new(ErrorKind::Usage, message).with_hint(format!(
                "for example {}={example}, or {}=off",
                self.key, self.key
            ))
        })
    }
}
