//! Backup labels.

use std::fmt;
use std::str::FromStr;

use super::Timestamp;
use crate::error::{Error, ErrorKind};

/// The label of a backup: `YYYYMMDDHHMMSS`, the local time of its start. The labels of one server
/// are unique and sort in the order of the backups, even if the clock is set back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    /// The label for a backup that starts at the local time `now`: later than `last`, the newest
    /// existing label.
    pub fn after(now: jiff::civil::DateTime, last: Option<&Label>) -> Result<Label, Error> {
        // Truncated to seconds first, so that a label of the same second compares as equal.
        let mut time = now
            .with()
            .subsec_nanosecond(0)
            .build()
            .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        if let Some(last) = last.and_then(Label::time)
            && time <= last
        {
            let second = jiff::Span::new().seconds(1);
            time = last.checked_add(second).map_err(|_| {
                let message = format!("no label comes after {}", last.strftime("%Y%m%d%H%M%S"));
                Error::new(ErrorKind::Corrupt, message)
                    .with_hint("no backup has this time: move the directory of that name away")
            })?;
        }
        Ok(Label(time.strftime("%Y%m%d%H%M%S").to_string()))
    }

    /// Its local time; `None` if the digits are not a valid date.
    pub fn time(&self) -> Option<jiff::civil::DateTime> {
        jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &self.0).ok()
    }

    /// The point in time, in the time zone of this machine; `None` if the digits are not a valid
    /// date.
    pub fn timestamp(&self) -> Option<Timestamp> {
        let zoned = self.time()?.to_zoned(jiff::tz::TimeZone::system());
        Some(Timestamp(zoned.ok()?.timestamp().as_microsecond()))
    }

    /// The fourteen digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Label {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() == 14 && text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Label(text.to_owned()));
        }
        let quoted: String = text.chars().take(40).collect();
        Err(Error::new(
            ErrorKind::Usage,
            format!("{quoted:?} is not a backup label"),
        )
        .with_hint("a label has fourteen digits, YYYYMMDDHHMMSS; list-backup shows them"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> jiff::civil::DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn labels_are_unique_and_ordered_when_the_clock_is_set_back() {
        let first = Label::after(at("2026-10-25T02:59:59"), None).unwrap();
        let second = Label::after(at("2026-10-25T02:00:00"), Some(&first)).unwrap();
        let third = Label::after(at("2026-10-25T02:00:01"), Some(&second)).unwrap();
        assert_eq!(first.as_str(), "20261025025959");
        assert_eq!(second.as_str(), "20261025030000");
        assert!(first < second && second < third);
    }

    #[test]
    fn after_the_last_possible_label_there_is_an_error() {
        let last: Label = "99991231235959".parse().unwrap();
        let failure = Label::after(at("2026-01-01T00:00:00"), Some(&last)).unwrap_err();
        assert!(failure.message().contains("99991231235959"), "{failure}");
        assert!(failure.hint().is_some());
    }

    #[test]
    fn two_backups_in_one_second_get_two_labels() {
        let now = at("2026-12-31T23:59:59");
        let first = Label::after(now, None).unwrap();
        assert_eq!(
            Label::after(now, Some(&first)).unwrap().as_str(),
            "20270101000000"
        );
        let later = Label::after(at("2026-12-31T23:59:59.75"), Some(&first)).unwrap();
        assert_eq!(later.as_str(), "20270101000000");
    }

    #[test]
    fn invalid_labels_are_rejected() {
        for text in [
            "",
            "..",
            "2026102502595",
            "202610250259590",
            "2026102502595/",
            "20261025\n02595",
        ] {
            assert!(text.parse::<Label>().is_err(), "{text:?}");
        }
    }
}
