//! Building the members of a document.

pub use serde_json::Value;

use crate::unit::PgVersion;

/// The members of a JSON object.
pub type Members = serde_json::Map<String, Value>;

/// The members of a JSON object that is being built.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Members);

impl Fields {
    /// None yet.
    pub fn new() -> Fields {
        Fields::default()
    }

    /// The members that begin every answer about a server; version 0.0 if it is not known.
    pub fn of_server(server: &str, version: Option<PgVersion>) -> Fields {
        Fields::new()
            .with("Server", server)
            .with("MajorVersion", version.map_or(0, |version| version.major))
            .with("MinorVersion", version.map_or(0, |version| version.minor))
    }

    /// Adds a member.
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
