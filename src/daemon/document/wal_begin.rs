//! The document of `wal begin`.

use crate::config::Server;
use crate::job::wal::WalBegin;
use crate::protocol::{Fields, Value};

/// The response to `wal begin`, a command that the C program does not have.
pub(in crate::daemon) fn wal_begin(server: &Server, outcome: &WalBegin) -> Fields {
    let position = outcome.position.map(|position| position.to_string());
    Fields::for_server(server.name.as_str(), Some(outcome.version))
        .with("Position", position.map_or(Value::Null, Value::from))
}
