//! Server names.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// The name of a server: of its section in the configuration and of its directory in the
/// repository. One path component of 1 to 127 bytes without control characters; `pgmoneta` and
/// `all` are reserved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(String);

impl ServerName {
    /// The name as configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ServerName {
    /// The reserved name of the section with the values that servers inherit.
    fn default() -> ServerName {
        ServerName(String::from("pgmoneta"))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServerName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let quoted: String = text.chars().take(40).collect();
        let invalid = |what: &str| {
            Error::new(
                ErrorKind::Usage,
                format!("{quoted:?} is not a server name: {what}"),
            )
        };
        if text.is_empty() {
            return Err(invalid("it is empty"));
        }
        if text.len() > 127 {
            return Err(invalid("it is longer than 127 bytes"));
        }
        if text.contains('/') || text.starts_with('.') || text.chars().any(char::is_control) {
            return Err(invalid(
                "it must be a directory name without '/', control characters and a leading '.'",
            ));
        }
        // The files of a repository are beside the directories of its servers.
        if ["pgmoneta", "all", "repository.info"].contains(&text) {
            return Err(invalid("it is reserved"));
        }
        Ok(ServerName(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_path_component() {
        assert_eq!("primary".parse::<ServerName>().unwrap().as_str(), "primary");
        assert!("größe-1".parse::<ServerName>().is_ok());
        let long = "x".repeat(300);
        for text in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\nb",
            "a\0b",
            "pgmoneta",
            "all",
            "repository.info",
            long.as_str(),
        ] {
            assert!(text.parse::<ServerName>().is_err(), "{text:?}");
        }
    }
}
