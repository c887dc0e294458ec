//! What the server warns of while a command runs.

use std::collections::HashSet;

use super::refusal::Report;
use crate::error::{Failure, Kind, Result};

/// A warning of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The text, in whatever language the server writes.
    pub message: String,
    /// The function of PostgreSQL's source that it comes from, which is never translated; empty if the server does not
    /// say it.
    pub routine: String,
}

/// The most different warnings that are kept.
const MOST: usize = 10_000;

/// The warnings of a command, each text once, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    list: Vec<Warning>,
    seen: HashSet<String>,
    /// Whether there were more than are kept.
    overflow: bool,
}

impl Warnings {
    /// Keeps a warning.
    pub fn add(&mut self, report: Report) {
        if self.seen.contains(&report.message) {
            return;
        }
        if self.list.len() >= MOST {
            self.overflow = true;
            return;
        }
        self.seen.insert(report.message.clone());
        self.list.push(Warning {
            message: report.message,
            routine: report.routine,
        });
    }

    /// Those that are kept.
    pub fn list(&self) -> &[Warning] {
        &self.list
    }

    /// All of them; a failure if there were more than are kept.
    pub fn all(self) -> Result<Vec<Warning>> {
        if self.overflow {
            let message =
                format!("the server gave more than {MOST} warnings, and not all were kept");
            return Err(Failure::new(Kind::Server, message)
                .hint("what PostgreSQL warns of during BASE_BACKUP is in the log of the server"));
        }
        Ok(self.list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_warning_is_kept_once_and_too_many_are_a_failure() {
        let report = |number: usize| Report {
            message: format!("warning {number}"),
            routine: "sendDir".to_owned(),
            ..Report::default()
        };
        let mut warnings = Warnings::default();
        for number in [1, 2, 1] {
            warnings.add(report(number));
        }
        assert_eq!(warnings.list().len(), 2);
        assert_eq!(warnings.all().unwrap()[1].routine, "sendDir");
        let mut warnings = Warnings::default();
        for number in 0..=MOST {
            warnings.add(report(number));
        }
        assert_eq!(warnings.list().len(), MOST);
        assert!(warnings.all().is_err());
    }
}
