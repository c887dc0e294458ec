//! From nothing to a running replication.

use super::archive::Archive;
use super::lineage::Lineage;
use super::start::{Note, Situation, Start};
use super::trouble::Trouble;
use crate::config::Server;
use crate::error::{Failure, Kind};
use crate::format::TimelineHistory;
use crate::job::context::Context;
use crate::pg::{Connection, Facts, Mode, Slot, SystemIdentity};
use crate::repository::{Repository, SystemInfo};
use crate::unit::{Lsn, SegmentSize, Timeline};

/// What the server said before anything was received.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) start: Start,
    /// Where the timeline of the start begins.
    pub(super) begins: Lsn,
    /// The history of the timeline that the server is on.
    pub(super) history: TimelineHistory,
    /// The restart position of the slot: up to here WAL was acknowledged before.
    pub(super) acknowledged: Lsn,
}

/// What the server says over SQL.
pub(super) struct Answers {
    facts: Facts,
    slot: Slot,
}

impl Answers {
    pub(super) fn segment_size(&self) -> SegmentSize {
        self.facts.segment_size
    }
}

/// Logs in, checks that this is the server that the archive belongs to, and that it has our slot.
pub(super) fn ask(
    context: &Context,
    server: &Server,
    repository: &Repository,
) -> Result<Answers, Trouble> {
    let mut connection = Connection::open(&context.login(server), Mode::Sql, &context.stop)?;
    let facts = Facts::read(&mut connection)?;
    let system = SystemInfo {
        system_identifier: facts.system_identifier,
        version: facts.version,
        segment_size: facts.segment_size,
    };
    repository.bind(&system).map_err(Trouble::archive)?;
    context.board.update_receiver(&server.name, |state| {
        state.version = Some(facts.version);
        state.checksums = Some(facts.checksums);
        state.in_recovery = Some(facts.in_recovery);
    });
    let slot = match Slot::find(&mut connection, &server.wal_slot)? {
        Some(slot) => slot,
        None => make_slot(context, server, &mut connection)?,
    };
    check_slot(server, &slot)?;
    Ok(Answers { facts, slot })
}

/// Makes the slot, if the configuration allows it.
fn make_slot(
    context: &Context,
    server: &Server,
    connection: &mut Connection,
) -> Result<Slot, Trouble> {
    let name = &server.wal_slot;
    let missing = || {
        let quoted = name.replace('\'', "''");
        let message = format!("the server has no replication slot {name:?}");
        Failure::new(Kind::NotFound, message).hint(format!(
            "set create_slot = yes, or make it on the server: SELECT pg_create_physical_replication_slot('{quoted}', true)"
        ))
    };
    if !server.create_slot {
        return Err(Trouble::Lasting(missing()));
    }
    Connection::open(&context.login(server), Mode::Replication, &context.stop)?
        .create_replication_slot(name)?;
    log::info!(
        "server {}: replication slot {name:?} was created",
        server.name
    );
    Slot::find(connection, name)?.ok_or_else(|| Trouble::Passing(missing()))
}

fn check_slot(server: &Server, slot: &Slot) -> Result<(), Trouble> {
    let name = &server.wal_slot;
    let quoted = name.replace('\'', "''");
    if !slot.physical {
        let message = format!("replication slot {name:?} is a logical one");
        return Err(Trouble::Lasting(
            Failure::new(Kind::Configuration, message)
                .hint("name another slot with wal_slot; a backup needs a physical one"),
        ));
    }
    if slot.wal_status.as_deref() == Some("lost") {
        let message = format!(
            "replication slot {name:?} is lost: the server has removed WAL that was not received yet"
        );
        let remake = if server.create_slot {
            "it is made anew then".to_owned()
        } else {
            format!("make it anew: SELECT pg_create_physical_replication_slot('{quoted}', true)")
        };
        return Err(Trouble::Lasting(Failure::new(Kind::Server, message).hint(
            format!(
                "drop it: SELECT pg_drop_replication_slot('{quoted}'); {remake}, and WAL is received from there on; \
                 then take a full backup, as earlier ones cannot be recovered beyond the gap; a larger \
                 max_slot_wal_keep_size avoids this"
            ),
        )));
    }
    Ok(())
}

/// Opens the replication connection and chooses where to start. `removed` is where the server said at the last try that
/// its WAL is gone.
pub(super) fn connect(
    context: &Context,
    server: &Server,
    answers: &Answers,
    archive: &Archive,
    removed: Option<(Timeline, Lsn)>,
) -> Result<Session, Trouble> {
    let mut connection =
        Connection::open(&context.login(server), Mode::Replication, &context.stop)?;
    let identity = connection.identify_system()?;
    check_identity(&identity, &answers.facts)?;
    let lineage = Lineage::fetch(&mut connection, identity.timeline)?;
    let end = archive.end().map_err(Trouble::archive)?;
    let situation = Situation {
        end: end.as_ref(),
        identity: &identity,
        in_recovery: answers.facts.in_recovery,
        history: lineage.history(),
        slot: answers.slot.restart,
        removed,
        size: answers.facts.segment_size,
    };
    let start = situation.choose()?;
    lineage.store(&mut connection, archive.directory())?;
    let begins = lineage.history().begin_of(start.timeline);
    Ok(Session {
        connection,
        start,
        begins: begins.unwrap_or(Lsn::ZERO),
        history: lineage.history().clone(),
        acknowledged: answers.slot.restart.unwrap_or(Lsn::ZERO),
    })
}

/// Says what a person must know about the start.
pub(super) fn tell(server: &Server, note: Note) {
    let name = &server.name;
    match note {
        Note::LeftBehind {
            timeline,
            switch,
            end,
        } => log::error!(
            "server {name}: the server left timeline {timeline} at {switch}, the archive has WAL of it up to {end}; what \
             was committed between is not on the server any more; the WAL is kept"
        ),
        Note::Gap { from, to } => log::error!(
            "server {name}: WAL from {from} to {to} is lost, the server has removed it; hint: take a full backup now"
        ),
    }
}

/// The second connection may have reached another server than the first one.
fn check_identity(identity: &SystemIdentity, facts: &Facts) -> Result<(), Trouble> {
    if identity.system_identifier == facts.system_identifier {
        return Ok(());
    }
    let message = format!(
        "two connections reached two clusters (system identifiers {} and {})",
        facts.system_identifier, identity.system_identifier
    );
    Err(Trouble::Lasting(
        Failure::new(Kind::Configuration, message)
            .hint("host must name one server, not a group of them"),
    ))
}
