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

/// The error for page checksum failures. The warnings are the server's text, possibly translated;
/// all of them quote the path of the file.
pub(super) fn checksum_error(failure: &Error, warnings: &[Warning]) -> Error {
    const MAX_LISTED_FILES: usize = 10;
    let mut files: Vec<&str> = Vec::new();
    // `sendDir` warns of skipped files, which have no pages.
    for warning in warnings
        .iter()
        .filter(|warning| warning.routine != "sendDir")
    {
        let text = warning.message.as_str();
        let quoted = text.split(['"', '«', '»', '„', '“']).nth(1);
        let file = quoted.map_or(text, str::trim);
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let more = files.len().saturating_sub(MAX_LISTED_FILES);
    files.truncate(MAX_LISTED_FILES);
    let mut list = files.join(", ");
    if more > 0 {
        list = format!("{list} and {more} more");
    }
    let message = if list.is_empty() {
        failure.message().to_owned()
    } else {
        format!("pages with wrong checksums in {list}")
    };
    Error::new(ErrorKind::Corrupt, message)
        .with_code("XX001")
        .with_hint(
            "the server's own data is damaged: find out why, and restore these relations from an \
             older backup before the next one replaces it",
        )
        .context("take a base backup")
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

    #[test]
    fn each_file_with_a_checksum_failure_is_listed_once() {
        let seen = Error::new(
            ErrorKind::Server,
            "checksum verification failure during base backup",
        );
        let warnings = [
            "checksum verification failed in file \"./base/5/1259\", block 0: calculated AA but \
             expected BB",
            "file \"./base/5/1259\" has a total of 2 checksum verification failures",
            "Prüfsummenüberprüfung fehlgeschlagen in Datei »./base/5/1260«, Block 1",
        ]
        .map(|message| Warning {
            message: message.to_owned(),
            routine: "sendFile".to_owned(),
        });
        let failure = checksum_error(&seen, &warnings);
        assert_eq!(failure.kind(), ErrorKind::Corrupt);
        assert_eq!(
            failure.message(),
            "take a base backup: pages with wrong checksums in ./base/5/1259, ./base/5/1260"
        );
        assert!(
            checksum_error(&seen, &[])
                .message()
                .contains("verification failure")
        );
    }
}
