//! Sizes in bytes.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// A size in bytes. Parses `64`, `10k`, `10kB`, `1 MB` (powers of 1024), prints `12.60MB` as the C
/// program does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
        // A u128 cannot overflow here.
        let mut divisor = 1u128;
        let mut unit = "B";
        for next in UNITS {
            if u128::from(self.0) < divisor * 1024 {
                break;
            }
            divisor *= 1024;
            unit = next;
        }
        let hundredths = (u128::from(self.0) * 100 + divisor / 2) / divisor;
        write!(f, "{}.{:02}{unit}", hundredths / 100, hundredths % 100)
    }
}

impl FromStr for ByteSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |what: &str| {
            Error::new(
                ErrorKind::Configuration,
                format!("{text:?} is not a size: {what}"),
            )
            .with_hint("a size is a number of bytes with an optional unit k, M or G, such as 64M")
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
        let shift = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" => 10,
            "m" | "mb" => 20,
            "g" | "gb" => 30,
            "t" | "tb" => 40,
            _ => return Err(invalid("unknown unit")),
        };
        number
            .checked_mul(1 << shift)
            .map(ByteSize)
            .ok_or_else(|| invalid("too large"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_the_c_program_does() {
        let rows = [
            (0, "0.00B"),
            (1023, "1023.00B"),
            (1024, "1.00kB"),
            (13_213_696, "12.60MB"),
            (1 << 60, "1024.00PB"),
        ];
        for (bytes, text) in rows {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn reads_units() {
        let rows = [
            ("0", 0),
            ("10", 10),
            ("10b", 10),
            ("10k", 10 << 10),
            ("10kB", 10 << 10),
            ("2G", 2 << 30),
            ("1 MB", 1 << 20),
        ];
        for (text, bytes) in rows {
            assert_eq!(text.parse::<ByteSize>().unwrap(), ByteSize(bytes), "{text}");
        }
        for text in [
            "",
            "k",
            "-1",
            "10x",
            "1.5G",
            "99999999999999999999",
            "99999999999G",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }
}
