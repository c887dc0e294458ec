//! What the consent to a beginning came to.

use crate::config::Server;
use crate::job::wal::Beginning;
use crate::protocol::{Fields, Value};

/// The answer to `wal begin`, which the C program does not know.
pub(in crate::daemon) fn beginning(server: &Server, beginning: &Beginning) -> Fields {
    let position = beginning.position.map(|position| position.to_string());
    Fields::of_server(server.name.as_str(), Some(beginning.version))
        .with("Position", position.map_or(Value::Null, Value::from))
}
