//! A timeline.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::error::{Failure, Kind};

/// A timeline of a cluster: 1 after `initdb`, one more after each promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeline(NonZeroU32);

impl Timeline {
    /// The timeline that `initdb` makes.
    pub const FIRST: Timeline = Timeline(NonZeroU32::MIN);

    /// Timeline `number`, unless it is 0.
    pub fn new(number: u32) -> Option<Timeline> {
        NonZeroU32::new(number).map(Timeline)
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0.get()
    }

    /// The name of its history file: eight upper-case hexadecimal digits and `.history` (`TLHistoryFileName`,
    /// PostgreSQL `xlog_internal.h`).
    pub fn history_name(self) -> String {
        format!("{:08X}.history", self.number())
    }

    /// The timeline of a history file by its name; the C program writes lower-case digits.
    pub fn of_history_name(name: &str) -> Option<Timeline> {
        let digits = name.strip_suffix(".history")?;
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok()?;
        Timeline::new(number).filter(|_| digits.len() == 8 && hexadecimal)
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Timeline {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let number = text
            .parse()
            .ok()
            .filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        number.and_then(Timeline::new).ok_or_else(|| {
            Failure::new(Kind::Usage, format!("{text:?} is not a timeline"))
                .hint("a timeline is a number from 1 up")
        })
    }
}
