//! Asks a server for its slot, its extensions and a few settings.

use std::time::Instant;

use crate::error::Result;
use crate::job::context::ServerContext;
use crate::pg::{Mode, ServerState, Slot};
use crate::status::{InstalledExtension, Observation, SlotState};

/// Asks the server over a connection of its own.
pub(super) fn observe(context: &ServerContext) -> Result<Observation> {
    let mut connection = context.connect(Mode::Sql)?;
    let state = ServerState::read(&mut connection)?;
    let slot = Slot::find(&mut connection, &context.server.wal_slot)?;
    let extensions = state.extensions.into_iter();
    Ok(Observation {
        tried_at: None,
        observed_at: Some(Instant::now()),
        wal_end: state.wal_end,
        summarizes_wal: state.summarizes_wal,
        fips: state.fips,
        extensions: extensions
            .map(|[name, version, comment]| InstalledExtension {
                name,
                version,
                comment,
            })
            .collect(),
        slot: slot.map(|slot| SlotState {
            wal_status: slot.wal_status.unwrap_or_default(),
            restart_lsn: slot.restart_lsn,
            safe_bytes: slot.safe_wal_size,
            active: slot.active_pid.is_some(),
        }),
    })
}
