//! How much of a file system is reserved.

use std::fmt;
use std::str::FromStr;

use super::problem::invalid;
use crate::error::{Error, Result};
use crate::unit::ByteSize;

/// The highest percentage that can be reserved.
const MAX_PERCENT: u8 = 90;

/// A part of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// A percentage of its size.
    Percent(u8),
    /// Bytes.
    Size(ByteSize),
}

impl Default for Reserve {
    fn default() -> Reserve {
        Reserve::Size(ByteSize(0))
    }
}

impl Reserve {
    /// The bytes of a file system with `total` bytes.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Reserve::Percent(percent) => {
                let bytes = u128::from(total) * u128::from(percent) / 100;
                u64::try_from(bytes).unwrap_or(u64::MAX)
            }
            Reserve::Size(size) => size.0,
        }
    }
}

impl FromStr for Reserve {
    type Err = Error;

    fn from_str(text: &str) -> Result<Reserve> {
        const HINT: &str = "such as 5% of the file system, 20GB, or 0 for nothing";
        let text = text.trim();
        if text == "0" {
            return Ok(Reserve::default());
        }
        if let Some(number) = text.strip_suffix('%') {
            let percent = number.trim().parse().ok();
            let percent = percent.filter(|percent| *percent <= MAX_PERCENT);
            let problem = || invalid(format!("{text:?} is not a percentage up to {MAX_PERCENT}%"));
            let percent = percent.ok_or_else(|| problem().with_hint(HINT))?;
            return Ok(Reserve::Percent(percent));
        }
        if text.ends_with(|last: char| last.is_ascii_digit()) {
            return Err(invalid(format!("{text:?} has no unit")).with_hint(HINT));
        }
        text.parse().map(Reserve::Size)
    }
}

/// As it is read.
impl fmt::Display for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reserve::Percent(percent) => write!(f, "{percent}%"),
            Reserve::Size(ByteSize(0)) => f.write_str("0"),
            Reserve::Size(size) => write!(f, "{}B", size.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_a_percentage_or_a_size_with_a_unit() {
        let rows = [
            ("5%", 50, "5%"),
            ("90 %", 900, "90%"),
            ("0%", 0, "0%"),
            ("0", 0, "0"),
            ("2k", 2048, "2048B"),
            ("12B", 12, "12B"),
        ];
        for (text, bytes, printed) in rows {
            let reserve: Reserve = text.parse().unwrap();
            assert_eq!(
                (reserve.of(1000), reserve.to_string().as_str()),
                (bytes, printed)
            );
            assert_eq!(printed.parse::<Reserve>().unwrap(), reserve);
        }
        assert_eq!(Reserve::Percent(90).of(u64::MAX), u64::MAX / 10 * 9 + 4);
        for text in ["5", "91%", "-1%", "1.5%", "%", "", "5 percent", "10x"] {
            assert!(text.parse::<Reserve>().is_err(), "{text}");
        }
    }
}
