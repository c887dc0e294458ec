//! Durations in the configuration.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// A duration in seconds. Parses `30`, `30s`, `5m`, `2h`, `1d`, `1w`, prints `30s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

impl Span {
    /// Conversion to the type of the standard library.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

impl FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |what: &str| {
            Error::new(
                ErrorKind::Configuration,
                format!("{text:?} is not a time: {what}"),
            )
            .with_hint(
                "a time is a number of seconds with an optional unit s, m, h, d or w, such as 30s",
            )
        };
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| {
            invalid(if digits == 0 {
                "no number"
            } else {
                "too large"
            })
        })?;
        let seconds = match unit.to_ascii_lowercase().as_str() {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 604_800,
            _ => return Err(invalid("unknown unit")),
        };
        let span = number
            .checked_mul(seconds)
            .filter(|&total| total <= u64::from(u32::MAX));
        span.map(Span).ok_or_else(|| invalid("too large"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units() {
        let rows = [
            ("0", 0),
            ("30", 30),
            ("30s", 30),
            ("5m", 300),
            ("2H", 7200),
            ("1d", 86_400),
            ("1w", 604_800),
        ];
        for (text, seconds) in rows {
            assert_eq!(text.parse::<Span>().unwrap(), Span(seconds), "{text}");
        }
        for text in [
            "",
            "s",
            "-1",
            "1m5",
            "m5",
            "1.5h",
            "10x",
            "4294967296",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
