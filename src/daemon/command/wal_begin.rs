//! `wal begin`.

use crate::error::Result;
use crate::job;
use crate::job::context::ServerContext;
use crate::protocol::{ServerMembers, WalBeginReply};

/// Allows a new WAL archive.
pub(in crate::daemon) fn wal_begin(context: &ServerContext) -> Result<WalBeginReply> {
    let outcome = job::wal::begin(context)?;
    Ok(WalBeginReply {
        server: ServerMembers::new(context.server.name.as_str(), Some(outcome.version)),
        position: outcome.position.map(|position| position.to_string()),
    })
}
