//! From nothing to a running replication.

use std::time::Instant;

use super::archive::Archive;
use super::beginning;
use super::lineage::{Lineage, known};
use super::owner;
use super::probe::Place;
use super::start::{Note, Situation, Start};
use super::trouble::Trouble;
use crate::config::Server;
use crate::error::{Failure, Kind};
use crate::format::TimelineHistory;
use crate::job::context::Context;
use crate::pg::{Connection, Facts, Mode, Slot, SystemIdentity};
use crate::repository::{Repository, SystemInfo, WalDirectory};
use crate::unit::{Lsn, SegmentSize, Timeline};

/// What the server said before anything was received.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) start: Start,
    /// The history of the timeline that the server is on.
    pub(super) history: TimelineHistory,
    /// The restart position of the slot: up to here WAL was acknowledged before.
    pub(super) acknowledged: Lsn,
}

/// What the server says over SQL.
pub(super) struct Answers {
    connection: Connection,
    facts: Facts,
    slot: Option<Slot>,
}

impl Answers {
    pub(super) fn segment_size(&self) -> SegmentSize {
        self.facts.segment_size
    }
}

/// Logs in, checks that this is the server that the archive belongs to, and that it has our slot or may get it.
pub(super) fn ask(
    context: &Context,
    server: &Server,
    repository: &Repository,
) -> Result<Answers, Trouble> {
    let mut connection = Connection::open(&context.login(server), Mode::Sql, &context.stop)?;
    let facts = read_facts(context, server, &mut connection)?;
    let system = SystemInfo {
        system_identifier: facts.system_identifier,
        version: facts.version,
        segment_size: facts.segment_size,
    };
    owner::check(repository, &context.key, &system).map_err(Trouble::archive)?;
    repository.bind(&system).map_err(Trouble::archive)?;
    let slot = Slot::find(&mut connection, &server.wal_slot)?;
    if let Some(slot) = &slot {
        check_slot(server, slot)?;
    }
    beginning::check(server, repository, slot.as_ref())?;
    if slot.is_none() && !server.create_slot {
        return Err(Trouble::Lasting(missing_slot(server)));
    }
    Ok(Answers {
        connection,
        facts,
        slot,
    })
}

/// Asks what the server is, over a connection of its own: it may have become a primary.
pub(super) fn ask_again(context: &Context, server: &Server) -> Result<(), Trouble> {
    let mut connection = Connection::open(&context.login(server), Mode::Sql, &context.stop)?;
    read_facts(context, server, &mut connection).map(|_| ())
}

/// Asks what the server is, and puts it on the board.
fn read_facts(
    context: &Context,
    server: &Server,
    connection: &mut Connection,
) -> Result<Facts, Trouble> {
    let facts = Facts::read(connection)?;
    note_facts(context, server, &facts);
    Ok(facts)
}

/// Puts on the board what the server is.
pub fn note_facts(context: &Context, server: &Server, facts: &Facts) {
    context.board.update_receiver(&server.name, |state| {
        state.version = Some(facts.version);
        state.checksums = Some(facts.checksums);
        state.in_recovery = Some(facts.in_recovery);
    });
}

fn missing_slot(server: &Server) -> Failure {
    let name = &server.wal_slot;
    let quoted = name.replace('\'', "''");
    let message = format!("the server has no replication slot {name:?}");
    Failure::new(Kind::NotFound, message).hint(format!(
        "set create_slot = on and restart the daemon, or make it on the server: SELECT pg_create_physical_replication_slot('{quoted}', true)"
    ))
}

/// Makes the slot. On the server it holds WAL back from now on, so this comes after everything that may be refused.
/// That it was missing is the consent to what it does not hold.
fn make_slot(
    server: &Server,
    repository: &Repository,
    answers: &mut Answers,
    replication: &mut Connection,
) -> Result<Slot, Trouble> {
    repository.allow_beginning().map_err(Trouble::archive)?;
    let name = &server.wal_slot;
    replication.create_replication_slot(name)?;
    log::info!(
        "server {}: replication slot {name:?} was created",
        server.name
    );
    let slot = Slot::find(&mut answers.connection, name)?;
    slot.ok_or_else(|| Trouble::Passing(missing_slot(server)))
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
            format!(
                "make it anew: SELECT pg_create_physical_replication_slot('{quoted}', true), and consent to the gap: \
                 pgmoneta-cli wal begin {}",
                server.name
            )
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
/// its WAL is gone. A start that is refused leaves neither a slot nor anything in the archive.
pub(super) fn connect(
    context: &Context,
    server: &Server,
    repository: &Repository,
    mut answers: Answers,
    archive: &mut Archive,
    removed: Option<(Timeline, Lsn)>,
) -> Result<Session, Trouble> {
    let mut connection =
        Connection::open(&context.login(server), Mode::Replication, &context.stop)?;
    let identity = connection.identify_system()?;
    check_identity(&identity, &answers.facts)?;
    // It counts for the lag also where the start is refused.
    context.board.update_receiver(&server.name, |state| {
        state.server_end = identity.position;
        state.heard = Some(Instant::now());
    });
    let lineage = Lineage::fetch(&mut connection, identity.timeline)?;
    lineage.check(archive.directory())?;
    let end = archive.end_along(lineage.history());
    let end = end.map_err(Trouble::archive)?;
    let directory = archive.directory();
    let followed = followed(repository, directory).map_err(Trouble::archive)?;
    let mut situation = Situation {
        end: end.as_ref(),
        followed: followed.as_ref(),
        identity: &identity,
        in_recovery: answers.facts.in_recovery,
        history: lineage.history(),
        slot: answers.slot.as_ref().and_then(|slot| slot.restart),
        removed,
        size: answers.facts.segment_size,
    };
    let mut start = situation.choose()?;
    beginning::check_gap(context, server, repository, &start.notes)?;
    if let Some(end) = &end {
        let place = Place {
            context,
            directory,
            history: lineage.history(),
            end,
        };
        connection = compare(&place, server, &start, connection)?;
    }
    lineage.store(&mut connection, directory)?;
    if answers.slot.is_none() {
        let slot = make_slot(server, repository, &mut answers, &mut connection)?;
        situation.slot = slot.restart;
        start = situation.choose()?;
    }
    // A server that was promoted before the end of what it had received may have a slot that is further on than it is.
    let acknowledged = situation.slot.unwrap_or(Lsn::ZERO);
    Ok(Session {
        connection,
        start,
        acknowledged: acknowledged.min(identity.position),
        history: lineage.into_history(),
    })
}

/// Compares the newest WAL that the archive has on the way to a start with the server's.
fn compare(
    place: &Place<'_>,
    server: &Server,
    start: &Start,
    connection: Connection,
) -> Result<Connection, Trouble> {
    let known = place.read(start).unwrap_or_else(|failure| {
        let name = &server.name;
        log::warn!(
            "server {name}: the archive's newest WAL is not compared with the server's: {failure}"
        );
        None
    });
    let Some(known) = known else {
        return Ok(connection);
    };
    match known.compare(connection, server)? {
        Some(connection) => Ok(connection),
        None => {
            let context = place.context;
            let login = context.login(server);
            Ok(Connection::open(&login, Mode::Replication, &context.stop)?)
        }
    }
}

/// What is known of the timeline that the archive followed until now: as it was noted, else the newest one.
fn followed(
    repository: &Repository,
    directory: &WalDirectory,
) -> Result<Option<TimelineHistory>, Failure> {
    let timeline = match repository.followed_timeline()? {
        Some(timeline) => Some(timeline),
        None => directory
            .segments()?
            .last()
            .map(|file| file.segment.timeline),
    };
    Ok(timeline.map(|timeline| {
        // One that is damaged is told of where it is needed.
        let known = known(directory, timeline).ok().flatten();
        known.unwrap_or_else(|| TimelineHistory::alone(timeline))
    }))
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
        Note::Branch {
            followed,
            timeline,
            parted,
        } => {
            let parted = parted.map(|(on, at)| format!("; they part on timeline {on} at {at}"));
            log::warn!(
                "server {name}: timeline {timeline} of the server does not come from timeline {followed}, which the archive \
                 followed until now{}; WAL is received on timeline {timeline}, and that of timeline {followed} is kept and \
                 stays a target of restore (timeline={followed})",
                parted.unwrap_or_default()
            );
        }
        Note::TakenBack {
            followed,
            timeline,
            parted,
        } => log::warn!(
            "server {name}: the server is on timeline {timeline}, which timeline {followed}, that the archive followed until \
             now, left at {parted}: a fail-over was taken back, or this is a standby that does not follow it; WAL is \
             received on timeline {timeline}, and that of timeline {followed} is kept and stays a target of restore \
             (timeline={followed}); hint: before this server or a standby of it is promoted, copy the .history files of \
             the archive ({}) into its pg_wal and set recovery_target_timeline = 'current': it takes a number then that \
             the archive does not have",
            followed.history_name()
        ),
        Note::Unconnected { timeline, from } => log::warn!(
            "server {name}: the archive has no WAL on the way to timeline {timeline} of the server; it is received from \
             {from} on; what the archive has is kept; hint: take a full backup now"
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
