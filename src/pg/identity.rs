//! What a server tells of itself over a replication connection.

use super::Connection;
use super::slot::{position, timeline};
use super::wire::protocol;
use crate::error::{Context, Result};
use crate::unit::{Lsn, Timeline};

/// Answer of IDENTIFY_SYSTEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemIdentity {
    /// The identity of the cluster.
    pub system_identifier: u64,
    /// Its current timeline.
    pub timeline: Timeline,
    /// Its flushed end of WAL.
    pub position: Lsn,
}

impl Connection {
    /// IDENTIFY_SYSTEM (Replication connection).
    pub fn identify_system(&mut self) -> Result<SystemIdentity> {
        const DOING: &str = "identify the server";
        let rows = self.query("IDENTIFY_SYSTEM").context(DOING)?;
        let row = rows
            .first()
            .ok_or_else(|| protocol("the answer is empty").context(DOING))?;
        Ok(SystemIdentity {
            system_identifier: row.parse(0).context(DOING)?,
            timeline: row.text(1).and_then(timeline).context(DOING)?,
            position: row.text(2).and_then(position).context(DOING)?,
        })
    }

    /// TIMELINE_HISTORY: the content of the history file.
    pub fn timeline_history(&mut self, timeline: Timeline) -> Result<Vec<u8>> {
        let doing = || format!("fetch the history of timeline {timeline}");
        let rows = self
            .rows(&format!("TIMELINE_HISTORY {timeline}"))
            .with_context(doing)?;
        // filename, content; the content is whatever bytes the file has.
        let content = rows
            .into_iter()
            .next()
            .and_then(|row| row.into_iter().nth(1))
            .flatten();
        content.ok_or_else(|| protocol("the answer is empty").context(doing()))
    }
}
