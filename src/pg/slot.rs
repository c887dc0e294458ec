//! Replication slots.

use postgres_protocol::escape::escape_literal;

use super::wire::protocol;
use super::{Connection, quote};
use crate::error::{Context, Result};
use crate::unit::{Lsn, Timeline};

/// A replication slot, from pg_replication_slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whether physical.
    pub physical: bool,
    /// The process of the server that streams from it to someone.
    pub active: Option<String>,
    /// `wal_status` ("reserved", "extended", "unreserved", "lost"), if any.
    pub wal_status: Option<String>,
    /// restart_lsn
    pub restart: Option<Lsn>,
}

impl Slot {
    /// Looks a slot up (Sql connection).
    pub fn find(connection: &mut Connection, name: &str) -> Result<Option<Slot>> {
        let sql = format!(
            "SELECT slot_type, active_pid, wal_status, restart_lsn FROM pg_catalog.pg_replication_slots \
             WHERE slot_name = {}",
            escape_literal(name)
        );
        let doing = || format!("look up replication slot {name:?}");
        let rows = connection.query(&sql).with_context(doing)?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let restart = row.optional(3).with_context(doing)?;
        Ok(Some(Slot {
            physical: row.text(0).with_context(doing)? == "physical",
            active: row.optional(1).with_context(doing)?.map(str::to_owned),
            wal_status: row.optional(2).with_context(doing)?.map(str::to_owned),
            restart: restart.map(position).transpose().with_context(doing)?,
        }))
    }
}

/// Reads a position that the server sent.
pub(super) fn position(text: &str) -> Result<Lsn> {
    text.parse()
        .map_err(|_| protocol(format!("the server sent {text:?} where a position must be")))
}

/// Reads a timeline that the server sent.
pub(super) fn timeline(text: &str) -> Result<Timeline> {
    text.parse()
        .map_err(|_| protocol(format!("the server sent {text:?} where a timeline must be")))
}

impl Connection {
    /// READ_REPLICATION_SLOT (15 and later); `None` if there is no such slot or it reserves nothing.
    pub fn read_replication_slot(&mut self, slot: &str) -> Result<Option<(Timeline, Lsn)>> {
        let doing = || format!("read replication slot {slot:?}");
        let command = format!("READ_REPLICATION_SLOT {}", quote::identifier(slot)?);
        let rows = self.query(&command).with_context(doing)?;
        // slot_type, restart_lsn, restart_tli: all NULL if there is no such slot.
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let restart = row.optional(1).with_context(doing)?;
        let on = row.optional(2).with_context(doing)?;
        match (restart, on) {
            (Some(restart), Some(on)) => Ok(Some((
                timeline(on).with_context(doing)?,
                position(restart).with_context(doing)?,
            ))),
            _ => Ok(None),
        }
    }

    /// CREATE_REPLICATION_SLOT … PHYSICAL, reserving WAL at once. A slot of that name that exists already is a
    /// [`crate::error::Kind::Server`] failure with code 42710.
    pub fn create_replication_slot(&mut self, slot: &str) -> Result<()> {
        let name = quote::identifier(slot)?;
        let options = if self.version().major >= 15 {
            "(RESERVE_WAL true)"
        } else {
            "RESERVE_WAL"
        };
        self.query(&format!(
            "CREATE_REPLICATION_SLOT {name} PHYSICAL {options}"
        ))
        .with_context(|| format!("create replication slot {slot:?}"))?;
        Ok(())
    }
}
