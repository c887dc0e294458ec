//! Timestamps, as in `recovery_target_time`.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::error::{Error, ErrorKind};

/// Microseconds since 1970 UTC, the precision of PostgreSQL's `timestamptz`. Parses
/// `YYYY-MM-DD[ HH:MM[:SS[.ffffff]]]` with a time zone (`Europe/Berlin`, `UTC`), with an offset
/// (`+02`, `-03:30`), or with neither for local time; a date alone is midnight. Prints local time
/// with its offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// In UTC with the offset: PostgreSQL parses it the same with any settings.
    pub fn utc(self) -> String {
        self.text(TimeZone::UTC, "%Y-%m-%d %H:%M:%S%.6f+00")
    }

    /// The time of the clock.
    pub fn now() -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }

    /// At that many seconds since 1970 UTC.
    pub fn from_seconds(seconds: i64) -> Timestamp {
        Timestamp(seconds.saturating_mul(1_000_000))
    }

    /// Of a file, for example; `None` outside of the years up to 9999.
    pub fn from_system(time: std::time::SystemTime) -> Option<Timestamp> {
        let time = jiff::Timestamp::try_from(time).ok()?;
        Some(Timestamp(time.as_microsecond()))
    }

    /// Whole seconds since 1970 UTC.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// As in the field `Date` of HTTP (RFC 9110, section 5.6.7).
    pub fn http_date(self) -> String {
        self.text(TimeZone::UTC, "%a, %d %b %Y %H:%M:%S GMT")
    }

    /// Local time as the number `YYYYMMDDHHMMSS`; 0 if it is not in the years up to 9999.
    pub fn local_digits(self) -> u64 {
        let digits = self.text(TimeZone::system(), "%Y%m%d%H%M%S");
        digits.parse().unwrap_or(0)
    }

    /// Local time with its offset, without a fraction of a second.
    pub fn to_the_second(self) -> String {
        self.text(TimeZone::system(), "%Y-%m-%d %H:%M:%S%:z")
    }

    fn text(self, zone: TimeZone, format: &str) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(timestamp) => timestamp.to_zoned(zone).strftime(format).to_string(),
            // Out of the range of jiff, which ends with the year 9999.
            Err(_) => format!("{} µs after 1970", self.0),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(TimeZone::system(), "%Y-%m-%d %H:%M:%S%.6f%:z"))
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let invalid =
            |what: &str| {
                let quoted: String = text.chars().take(60).collect();
                Error::new(ErrorKind::Usage, format!("{quoted:?} is not a time: {what}")).with_hint(
                "a time looks like 2026-11-22 14:03:00, 2026-11-22 14:03:00.123456+01, 2026-11-22 \
                 14:03:00 Europe/Berlin or 2026-11-22, which is midnight",
            )
            };
        if text.eq_ignore_ascii_case("epoch") {
            return Ok(Timestamp(0));
        }
        let (civil, zone) = civil(text).ok_or_else(|| invalid("no date and time"))?;
        let zone = time_zone(zone).ok_or_else(|| invalid("the time zone is not known"))?;
        let ambiguous = zone.to_ambiguous_zoned(civil);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => return Err(invalid("the clocks skipped it")),
            AmbiguousOffset::Fold { before, after } => {
                let what =
                    format!("the clocks showed it twice, with the offsets {before} and {after}");
                return Err(invalid(&what).with_hint(format!("give the offset: {civil} {before}")));
            }
            AmbiguousOffset::Unambiguous { .. } => {}
        }
        let zoned = ambiguous
            .unambiguous()
            .map_err(|_| invalid("out of range"))?;
        Ok(Timestamp(zoned.timestamp().as_microsecond()))
    }
}

/// Splits the text into date and time, and the zone. Without a time it is midnight, as in
/// PostgreSQL (`DecodeDateTime`, `datetime.c`).
fn civil(text: &str) -> Option<(DateTime, &str)> {
    let of_date = |c: char| c.is_ascii_digit() || c == '-';
    let end = text.find(|c| !of_date(c)).unwrap_or(text.len());
    let (day, rest) = text.split_at_checked(end)?;
    let day = date(day)?;
    let is_time = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let (rest, basic) = match rest.strip_prefix(['T', 't']).filter(|rest| is_time(rest)) {
        Some(rest) => (rest, true),
        None => (rest.trim_start(), false),
    };
    if !is_time(rest) {
        return Some((day.at(0, 0, 0, 0), rest));
    }
    let of_time = |c: char| c.is_ascii_digit() || c == ':' || c == '.';
    let end = rest.find(|c| !of_time(c)).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at_checked(end)?;
    let clock = time(clock, basic)?;
    Some((
        day.at(0, 0, 0, 0).checked_add(clock).ok()?,
        zone.trim_start(),
    ))
}

/// `2026-11-22`, `2026-1-5` or `20261122`.
fn date(text: &str) -> Option<Date> {
    let parts: Vec<&str> = match text.len() {
        8 if !text.contains('-') => vec![text.get(..4)?, text.get(4..6)?, text.get(6..)?],
        _ => text.split('-').collect(),
    };
    let [year, month, day] = parts.as_slice() else {
        return None;
    };
    let valid = year.len() == 4
        && [month, day]
            .iter()
            .all(|part| (1..=2).contains(&part.len()));
    valid.then_some(())?;
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// The time since midnight: `14:03`, `14:03:00`, `14:03:00.123456`, and if `basic` (ISO 8601 basic
/// format) also `1403` and `140300`. As in PostgreSQL, `24:00:00` is the end of the day, second 60
/// is the first one of the next minute, and fractions are rounded to microseconds.
fn time(text: &str, basic: bool) -> Option<SignedDuration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Vec<&str> = if whole.contains(':') {
        whole.split(':').collect()
    } else if basic && matches!(whole.len(), 4 | 6) {
        [whole.get(..2), whole.get(2..4), whole.get(4..6)]
            .into_iter()
            .flatten()
            .collect()
    } else {
        return None;
    };
    let two = |part: &&str| -> Option<i64> {
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        (digits && (1..=2).contains(&part.len())).then(|| part.parse().ok())?
    };
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] if fraction.is_empty() && !text.contains('.') => {
            (two(hours)?, two(minutes)?, 0)
        }
        [hours, minutes, seconds] => (two(hours)?, two(minutes)?, two(seconds)?),
        _ => return None,
    };
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || hours > 24 || minutes > 59 || seconds > 60 {
        return None;
    }
    let digit_at = |index: usize| {
        let digit = fraction.as_bytes().get(index).map_or(0, |byte| byte - b'0');
        i64::from(digit)
    };
    let micros = (0..6).fold(0, |micros, index| micros * 10 + digit_at(index));
    let micros = micros + i64::from(digit_at(6) >= 5);
    let since = (hours * 3600 + minutes * 60 + seconds) * 1_000_000 + micros;
    // The day ends at 24:00:00.
    (since <= 86_400_000_000).then(|| SignedDuration::from_micros(since))
}

fn time_zone(zone: &str) -> Option<TimeZone> {
    match zone {
        "" => return Some(TimeZone::system()),
        "Z" | "z" | "UTC" | "GMT" => return Some(TimeZone::UTC),
        _ => {}
    }
    let sign = match zone.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return TimeZone::get(zone).ok(),
    };
    let digits: String = zone.chars().skip(1).filter(|c| *c != ':').collect();
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let part = |from: usize| {
        digits
            .get(from..from + 2)
            .map_or(Some(0), |two| two.parse().ok())
    };
    let (hours, minutes, seconds): (i32, i32, i32) = match digits.len() {
        1 => (digits.parse().ok()?, 0, 0),
        2 | 4 | 6 => (part(0)?, part(2)?, part(4)?),
        _ => return None,
    };
    let valid = only_digits && hours <= 15 && minutes <= 59 && seconds <= 59;
    let offset = sign * (hours * 3600 + minutes * 60 + seconds);
    let offset = valid.then(|| Offset::from_seconds(offset).ok())??;
    Some(TimeZone::fixed(offset))
}

/// The local time as `YYYYMMDDHHMMSS`, for the management documents.
pub fn local_timestamp() -> String {
    jiff::Zoned::now().strftime("%Y%m%d%H%M%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> String {
        text.parse::<Timestamp>().unwrap().utc()
    }

    #[test]
    fn the_forms_of_psql_are_parsed() {
        let rows = [
            ("2026-11-22 14:03:00Z", "2026-11-22 14:03:00.000000+00"),
            ("2026-11-22 14:03 UTC", "2026-11-22 14:03:00.000000+00"),
            ("2026-11-22T14:03:00.5+02", "2026-11-22 12:03:00.500000+00"),
            (
                "2026-11-22 14:03:00.123456-03:30",
                "2026-11-22 17:33:00.123456+00",
            ),
            ("2026-11-22 14:03:00 +0530", "2026-11-22 08:33:00.000000+00"),
            (
                "2026-07-01 14:03:00 Europe/Berlin",
                "2026-07-01 12:03:00.000000+00",
            ),
            ("2026-11-22Z", "2026-11-22 00:00:00.000000+00"),
            ("2026-11-22 +01", "2026-11-21 23:00:00.000000+00"),
            ("2026-11-22+01", "2026-11-21 23:00:00.000000+00"),
            ("2026-11-22 Europe/Berlin", "2026-11-21 23:00:00.000000+00"),
            ("2026-1-5 4:03 UTC", "2026-01-05 04:03:00.000000+00"),
            ("20261122T140300Z", "2026-11-22 14:03:00.000000+00"),
            ("20261122 14:03:00Z", "2026-11-22 14:03:00.000000+00"),
            ("2026-11-22 24:00:00Z", "2026-11-23 00:00:00.000000+00"),
            ("2026-11-22 14:59:60Z", "2026-11-22 15:00:00.000000+00"),
            (
                "2026-11-22 14:03:00.9999999Z",
                "2026-11-22 14:03:01.000000+00",
            ),
            ("epoch", "1970-01-01 00:00:00.000000+00"),
            (
                "2026-12-31 23:59:59.999999+00",
                "2026-12-31 23:59:59.999999+00",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(utc(text), expected, "{text}");
        }
    }

    #[test]
    fn printed_timestamps_can_be_parsed() {
        for micros in [0, 1, 1_795_356_180_123_456, 946_684_800_000_000] {
            let printed = Timestamp(micros).to_string();
            assert_eq!(
                printed.parse::<Timestamp>().unwrap(),
                Timestamp(micros),
                "{printed}"
            );
            assert_eq!(
                Timestamp(micros).utc().parse::<Timestamp>().unwrap(),
                Timestamp(micros)
            );
        }
    }

    #[test]
    fn skipped_and_ambiguous_times_are_rejected() {
        let skipped = "2026-03-29 02:30:00 Europe/Berlin"
            .parse::<Timestamp>()
            .unwrap_err();
        assert!(skipped.message().contains("skipped"), "{skipped}");
        let twice = "2026-10-25 02:30:00 Europe/Berlin"
            .parse::<Timestamp>()
            .unwrap_err();
        assert!(twice.message().contains("twice"), "{twice}");
        let first = utc("2026-10-25 02:30:00+02");
        assert_eq!(first, "2026-10-25 00:30:00.000000+00");
    }

    #[test]
    fn invalid_times_are_rejected() {
        for text in [
            "",
            "now",
            "2026-11-22T",
            "2026-11-22 14:03:61",
            "2026-11-22 14:03.5",
            "2026-11-22 14:03:00.x",
            "2026-11-22 140300",
            "2026-11",
            "26-11-22",
            "2026-02-30",
            "infinity",
            "14:03:00",
            "2026-13-22 14:03:00",
            "2026-11-22 24:03:00",
            "2026-11-22 14:03:00 Nowhere/City",
            "2026-11-22 14:03:00+25",
            "2026-11-22 14:03:00+",
            "2026-11-22 14:03:00 x'y",
            "2026-11-22 1",
            "ä026-11-22 14:03:00",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text:?}");
        }
    }
}
