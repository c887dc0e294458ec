//! The document of `wal begin`.

use crate::config::Server;
use crate::job::wal::WalBegin;
use crate::protocol::{ServerMembers, WalBeginReply};

/// The response to `wal begin`.
pub(in crate::daemon) fn wal_begin(server: &Server, outcome: &WalBegin) -> WalBeginReply {
    WalBeginReply {
        server: ServerMembers::new(server.name.as_str(), Some(outcome.version)),
        position: outcome.position.map(|position| position.to_string()),
    }
}
