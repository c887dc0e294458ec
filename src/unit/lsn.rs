//! Log sequence numbers: positions in the WAL.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// A byte position in the WAL of a cluster, PostgreSQL's `pg_lsn`; printed as `16/B374D848`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// `0/0`, which PostgreSQL never assigns to a record (`InvalidXLogRecPtr`).
    pub const ZERO: Lsn = Lsn(0);

    /// The upper 32 bits.
    pub fn high(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// The lower 32 bits.
    pub fn low(self) -> u32 {
        let [.., a, b, c, d] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// The position plus `bytes`, saturating.
    #[must_use]
    pub fn advance(self, bytes: u64) -> Lsn {
        Lsn(self.0.saturating_add(bytes))
    }

    /// The number of bytes from `earlier` to this position; 0 if `earlier` is greater.
    pub fn since(self, earlier: Lsn) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.high(), self.low())
    }
}

impl FromStr for Lsn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || {
            Error::new(ErrorKind::Usage, format!("{text:?} is not an LSN"))
                .with_hint("an LSN looks like 16/B374D848")
        };
        let half = |part: &str| {
            let digits =
                (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
            if digits {
                u32::from_str_radix(part, 16).map_err(|_| invalid())
            } else {
                Err(invalid())
            }
        };
        let (high, low) = text.split_once('/').ok_or_else(invalid)?;
        Ok(Lsn(u64::from(half(high)?) << 32 | u64::from(half(low)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_that_of_postgresql() {
        for text in ["0/0", "0/A000028", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn invalid_lsns_are_rejected() {
        for text in [
            "",
            "/",
            "0",
            "0/",
            "/0",
            "0/0/0",
            "G/0",
            "100000000/0",
            "0/ 1",
            "+1/0",
            "-1/0",
        ] {
            assert!(text.parse::<Lsn>().is_err(), "{text:?}");
        }
    }
}
