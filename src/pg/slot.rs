//! Replication slots.

use postgres_protocol::escape::escape_literal;

use super::{Connection, quote};
use crate::error::{Context, Result};
use crate::unit::{Lsn, Timeline, WalPosition};

/// A replication slot, from pg_replication_slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whether `slot_type` is `physical`.
    pub physical: bool,
    /// `active_pid`: the walsender that uses the slot.
    pub active_pid: Option<String>,
    /// `wal_status` ("reserved", "extended", "unreserved", "lost"), if any.
    pub wal_status: Option<String>,
    /// `safe_wal_size`: bytes that can be written until it may be lost, if there is a limit.
    pub safe_wal_size: Option<i64>,
    /// `restart_lsn`: the oldest WAL that the slot reserves.
    pub restart_lsn: Option<Lsn>,
}

impl Slot {
    /// Finds a slot by name, over a Sql connection.
    pub fn find(connection: &mut Connection, name: &str) -> Result<Option<Slot>> {
        let sql = format!(
            "SELECT slot_type, active_pid, wal_status, restart_lsn, safe_wal_size FROM \
             pg_catalog.pg_replication_slots WHERE slot_name = {}",
            escape_literal(name)
        );
        let action = || format!("look up replication slot {name:?}");
        let rows = connection.query(&sql).with_context(action)?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        Ok(Some(Slot {
            physical: row.text(0).with_context(action)? == "physical",
            active_pid: row.optional(1).with_context(action)?.map(str::to_owned),
            wal_status: row.optional(2).with_context(action)?.map(str::to_owned),
            restart_lsn: row.parse_optional(3).with_context(action)?,
            safe_wal_size: row.parse_optional(4).with_context(action)?,
        }))
    }
}

impl Connection {
    /// READ_REPLICATION_SLOT (15 and later); `None` if there is no such slot or it reserves
    /// nothing.
    pub fn read_replication_slot(&mut self, slot: &str) -> Result<Option<WalPosition>> {
        let action = || format!("read replication slot {slot:?}");
        let command = format!("READ_REPLICATION_SLOT {}", quote::identifier(slot)?);
        let rows = self.query(&command).with_context(action)?;
        // slot_type, restart_lsn, restart_tli: all NULL if there is no such slot.
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let restart_lsn = row.parse_optional(1).with_context(action)?;
        let timeline = row.parse_optional(2).with_context(action)?;
        let found = timeline.zip(restart_lsn);
        Ok(found.map(|(timeline, lsn): (Timeline, _)| timeline.at(lsn)))
    }

    /// CREATE_REPLICATION_SLOT … PHYSICAL, reserving WAL at once. An existing slot of that name is
    /// [`crate::error::ErrorKind::Server`] with code 42710.
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
