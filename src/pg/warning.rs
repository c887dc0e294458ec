//! The warnings of the server during a command.

use std::collections::HashSet;

use super::server_error::ServerError;
use crate::error::{Error, ErrorKind, Result};

/// A warning of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The message, in the language of the server's `lc_messages`.
    pub message: String,
    /// The function in PostgreSQL's source that reported it, never localized; empty if the server
    /// did not send it.
    pub routine: String,
}

/// Limit for distinct warnings.
const MAX_WARNINGS: usize = 10_000;

/// The warnings of a command, each text once, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    list: Vec<Warning>,
    seen: HashSet<String>,
    /// Whether there were more than the limit.
    overflow: bool,
}

impl Warnings {
    /// Adds a warning unless its text is known.
    pub fn add(&mut self, error: ServerError) {
        if self.seen.contains(&error.message) {
            return;
        }
        if self.list.len() >= MAX_WARNINGS {
            self.overflow = true;
            return;
        }
        self.seen.insert(error.message.clone());
        self.list.push(Warning {
            message: error.message,
            routine: error.routine,
        });
    }

    /// The warnings up to the limit.
    pub fn list(&self) -> &[Warning] {
        &self.list
    }

    /// All warnings; an error if there were more than the limit.
    pub fn all(self) -> Result<Vec<Warning>> {
        if self.overflow {
            let message =
                format!("the server gave more than {MAX_WARNINGS} warnings, and not all were kept");
            return Err(Error::new(ErrorKind::Server, message).with_hint(
                "what PostgreSQL warns of during BASE_BACKUP is in the log of the server",
            ));
        }
        Ok(self.list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_deduplicated_and_too_many_are_an_error() {
        let error = |number: usize| ServerError {
            message: format!("warning {number}"),
            routine: "sendDir".to_owned(),
            ..ServerError::default()
        };
        let mut warnings = Warnings::default();
        for number in [1, 2, 1] {
            warnings.add(error(number));
        }
        assert_eq!(warnings.list().len(), 2);
        assert_eq!(warnings.all().unwrap()[1].routine, "sendDir");
        let mut warnings = Warnings::default();
        for number in 0..=MAX_WARNINGS {
            warnings.add(error(number));
        }
        assert_eq!(warnings.list().len(), MAX_WARNINGS);
        assert!(warnings.all().is_err());
    }
}
