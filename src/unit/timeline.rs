//! Timeline IDs.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// A timeline ID: 1 after `initdb`, incremented by each promotion (`TimeLineID`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timeline(NonZeroU32);

impl Timeline {
    /// The timeline of a new cluster, 1.
    pub const FIRST: Timeline = Timeline(NonZeroU32::MIN);

    /// `None` if `number` is 0.
    pub fn new(number: u32) -> Option<Timeline> {
        NonZeroU32::new(number).map(Timeline)
    }

    /// The ID as a number, from 1.
    pub fn number(self) -> u32 {
        self.0.get()
    }

    /// The name of its history file: eight upper-case hexadecimal digits and `.history`
    /// (`TLHistoryFileName`, PostgreSQL `xlog_internal.h`).
    pub fn history_name(self) -> String {
        format!("{:08X}.history", self.number())
    }

    /// Parses the name of a history file; also lower-case digits, which the C program writes.
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
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = text
            .parse()
            .ok()
            .filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        number.and_then(Timeline::new).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("{text:?} is not a timeline"))
                .with_hint("a timeline is a number from 1 up")
        })
    }
}
