//! IDENTIFY_SYSTEM and TIMELINE_HISTORY.

use super::Connection;
use super::wire::protocol_error;
use crate::error::{Context, Result};
use crate::unit::{Lsn, Timeline};

/// The row that IDENTIFY_SYSTEM returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemIdentity {
    /// The system identifier, from `pg_control`.
    pub system_identifier: u64,
    /// The timeline on which the server writes or replays WAL (`timeline`).
    pub timeline: Timeline,
    /// The flushed end of WAL (`xlogpos`).
    pub position: Lsn,
}

impl Connection {
    /// Sends IDENTIFY_SYSTEM; requires a Replication connection.
    pub fn identify_system(&mut self) -> Result<SystemIdentity> {
        const ACTION: &str = "identify the server";
        let rows = self.query("IDENTIFY_SYSTEM").context(ACTION)?;
        let row = rows
            .first()
            .ok_or_else(|| protocol_error("the answer is empty").context(ACTION))?;
        Ok(SystemIdentity {
            system_identifier: row.parse(0).context(ACTION)?,
            timeline: row.parse(1).context(ACTION)?,
            position: row.parse(2).context(ACTION)?,
        })
    }

    /// TIMELINE_HISTORY: the content of the history file.
    pub fn timeline_history(&mut self, timeline: Timeline) -> Result<Vec<u8>> {
        let action = || format!("fetch the history of timeline {timeline}");
        let rows = self
            .rows(&format!("TIMELINE_HISTORY {timeline}"))
            .with_context(action)?;
        // Columns filename and content; the content need not be UTF-8.
        let content = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().nth(1))
            .flatten();
        content.ok_or_else(|| protocol_error("the answer is empty").context(action()))
    }
}
