//! Builds the members of a document.

use super::{Members, Value};
use crate::unit::PgVersion;

/// A builder for the members of a JSON object.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Members);

impl Fields {
    /// An object without members.
    pub fn new() -> Fields {
        Fields::default()
    }

    /// The members that every response about a server has; version 0.0 if it is unknown.
    pub fn for_server(server: &str, version: Option<PgVersion>) -> Fields {
        Fields::new()
            .with("Server", server)
            .with("MajorVersion", version.map_or(0, |version| version.major))
            .with("MinorVersion", version.map_or(0, |version| version.minor))
    }

    /// Adds a member, or replaces it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Fields {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds all members of `other`.
    #[must_use]
    pub fn and(mut self, other: Fields) -> Fields {
        self.0.extend(other.0);
        self
    }
}

impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Value::Object(fields.0)
    }
}
