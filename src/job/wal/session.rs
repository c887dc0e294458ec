//! Connects to the server and chooses where replication starts.

use std::time::Instant;

use super::archive::ArchiveWriter;
use super::error::ReceiveError;
use super::identity;
use super::server_history::{ServerHistory, archived_history};
use super::start::{Start, StartInputs, StartNotice};
use super::tail::TailReader;
use super::wal_begin;
use crate::config::Server;
use crate::error::{Error, ErrorKind};
use crate::format::TimelineHistory;
use crate::job::context::ServerContext;
use crate::pg::{Connection, Mode, ServerInfo, Slot, SystemIdentity};
use crate::repository::{Repository, SystemInfo, WalDirectory};
use crate::unit::{Lsn, SegmentSize, WalPosition};

/// An open replication connection and where to start on it.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) start: Start,
    /// The history of the timeline that the server is on.
    pub(super) history: TimelineHistory,
    /// The `restart_lsn` of the slot: WAL up to here was acknowledged before.
    pub(super) acknowledged: Lsn,
}

/// What the server reports about itself and the slot, over SQL.
pub(super) struct ServerProbe {
    connection: Connection,
    server_info: ServerInfo,
    slot: Option<Slot>,
}

impl ServerProbe {
    pub(super) fn segment_size(&self) -> SegmentSize {
        self.server_info.segment_size
    }
}

/// Logs in, checks that the archive belongs to this server, and that the slot exists or may be
/// created.
pub(super) fn probe_server(
    context: &ServerContext,
    repository: &Repository,
) -> Result<ServerProbe, ReceiveError> {
    let server = &*context.server;
    let mut connection = context.connect(Mode::Sql)?;
    let server_info = read_server_info(context, &mut connection)?;
    let system = SystemInfo {
        system_identifier: server_info.system_identifier,
        version: server_info.version,
        segment_size: server_info.segment_size,
    };
    identity::check(repository, &context.daemon.key, &system).map_err(ReceiveError::archive)?;
    repository.bind(&system).map_err(ReceiveError::archive)?;
    let slot = Slot::find(&mut connection, &server.wal_slot)?;
    if let Some(slot) = &slot {
        check_slot(server, slot)?;
    }
    wal_begin::check(server, repository, slot.as_ref())?;
    if slot.is_none() && !server.create_slot {
        return Err(ReceiveError::NeedsOperator(missing_slot(server)));
    }
    Ok(ServerProbe {
        connection,
        server_info,
        slot,
    })
}

/// Reads version and recovery state over a new connection: a standby may have been promoted.
pub(super) fn refresh_server_info(context: &ServerContext) -> Result<(), ReceiveError> {
    let mut connection = context.connect(Mode::Sql)?;
    read_server_info(context, &mut connection).map(|_| ())
}

/// Reads what the server is and publishes it in the status.
fn read_server_info(
    context: &ServerContext,
    connection: &mut Connection,
) -> Result<ServerInfo, ReceiveError> {
    let server_info = ServerInfo::read(connection).inspect_err(|failure| {
        if failure.kind() == ErrorKind::Configuration {
            let status = &context.status;
            status.update_receiver(|state| state.settings_fit = Some(false));
        }
    })?;
    report_server_info(context, &server_info);
    Ok(server_info)
}

/// Publishes version, checksums and recovery state of the server in the status.
pub fn report_server_info(context: &ServerContext, server_info: &ServerInfo) {
    context.status.update_receiver(|state| {
        state.version = Some(server_info.version);
        state.checksums = Some(server_info.checksums);
        state.in_recovery = Some(server_info.in_recovery);
        state.segment_size = Some(server_info.segment_size);
        state.settings_fit = Some(true);
    });
}

fn missing_slot(server: &Server) -> Error {
    let name = &server.wal_slot;
    let quoted = name.replace('\'', "''");
    let message = format!("the server has no replication slot {name:?}");
    Error::new(ErrorKind::NotFound, message).with_hint(format!(
        "set create_slot = on and restart the daemon, or create it on the server: SELECT \
         pg_create_physical_replication_slot('{quoted}', true)"
    ))
}

/// Creates the slot. It makes the server retain WAL from now on, so everything that may be refused
/// is checked first. Since it was missing, WAL from before it counts as abandoned.
fn create_slot(
    server: &Server,
    repository: &Repository,
    probe: &mut ServerProbe,
    replication: &mut Connection,
) -> Result<Slot, ReceiveError> {
    repository
        .allow_wal_start()
        .map_err(ReceiveError::archive)?;
    let name = &server.wal_slot;
    replication.create_replication_slot(name)?;
    log::info!(
        "server {}: replication slot {name:?} was created",
        server.name
    );
    let slot = Slot::find(&mut probe.connection, name)?;
    slot.ok_or_else(|| ReceiveError::Transient(missing_slot(server)))
}

fn check_slot(server: &Server, slot: &Slot) -> Result<(), ReceiveError> {
    let name = &server.wal_slot;
    let quoted = name.replace('\'', "''");
    if !slot.physical {
        let message = format!("replication slot {name:?} is a logical slot");
        return Err(ReceiveError::NeedsOperator(
            Error::new(ErrorKind::Configuration, message)
                .with_hint("name another slot with wal_slot; a backup needs a physical one"),
        ));
    }
    if slot.wal_status.as_deref() == Some("lost") {
        let message = format!(
            "replication slot {name:?} is lost: the server has removed WAL that was not received \
             yet"
        );
        let remake = if server.create_slot {
            "it is created again then".to_owned()
        } else {
            format!(
                "create it again: SELECT pg_create_physical_replication_slot('{quoted}', true), \
                 and accept the gap: pgmoneta-cli wal begin {}",
                server.name
            )
        };
        return Err(ReceiveError::NeedsOperator(
            Error::new(ErrorKind::Server, message).with_hint(format!(
                "drop it: SELECT pg_drop_replication_slot('{quoted}'); {remake}, and WAL is \
                 received from there on; then take a full backup, as earlier ones cannot be \
                 recovered beyond the gap; a larger max_slot_wal_keep_size avoids this"
            )),
        ));
    }
    Ok(())
}

/// Opens the replication connection and chooses where to start. `removed` is where the server
/// reported at the last attempt that its WAL was removed. A refused start creates no slot and
/// writes nothing to the archive.
pub(super) fn connect(
    context: &ServerContext,
    repository: &Repository,
    mut probe: ServerProbe,
    archive: &mut ArchiveWriter,
    removed: Option<WalPosition>,
) -> Result<Session, ReceiveError> {
    let mut connection = context.connect(Mode::Replication)?;
    let identity = connection.identify_system()?;
    check_identity(&identity, &probe.server_info)?;
    // The lag is reported even if the start is refused.
    context.status.update_receiver(|state| {
        state.server_end = identity.position;
        state.last_message_at = Some(Instant::now());
    });
    let server_history = ServerHistory::fetch(&mut connection, identity.timeline)?;
    server_history.check(archive.directory())?;
    let end = archive.end_of_path(server_history.history());
    let end = end.map_err(ReceiveError::archive)?;
    let directory = archive.directory();
    let followed = followed_history(repository, directory).map_err(ReceiveError::archive)?;
    let mut inputs = StartInputs {
        end: end.as_ref(),
        followed: followed.as_ref(),
        identity: &identity,
        in_recovery: probe.server_info.in_recovery,
        history: server_history.history(),
        slot: probe.slot.as_ref().and_then(|slot| slot.restart_lsn),
        removed,
        size: probe.server_info.segment_size,
    };
    let mut start = inputs.choose()?;
    wal_begin::check_gap(context, repository, &start.notices)?;
    if let Some(end) = &end {
        let reader = TailReader {
            context,
            directory,
            history: server_history.history(),
            end,
        };
        connection = compare(&reader, &context.server, &start, connection)?;
    }
    server_history.store(&mut connection, directory)?;
    if probe.slot.is_none() {
        let slot = create_slot(&context.server, repository, &mut probe, &mut connection)?;
        inputs.slot = slot.restart_lsn;
        start = inputs.choose()?;
    }
    if waits_for_apply(&context.server, &mut probe.connection) {
        start.notices.push(StartNotice::WaitsForApply);
    }
    // The slot of a standby that was promoted before the end of its received WAL may be ahead of
    // the server.
    let acknowledged = inputs.slot.unwrap_or(Lsn::ZERO);
    Ok(Session {
        connection,
        start,
        acknowledged: acknowledged.min(identity.position),
        history: server_history.into_history(),
    })
}

/// Compares the newest archived WAL before a start with the server's.
fn compare(
    reader: &TailReader<'_>,
    server: &Server,
    start: &Start,
    connection: Connection,
) -> Result<Connection, ReceiveError> {
    let tail = reader.read(start).unwrap_or_else(|failure| {
        let name = &server.name;
        log::warn!(
            "server {name}: the archive's newest WAL cannot be compared with the server's: \
             {failure}"
        );
        None
    });
    let Some(tail) = tail else {
        return Ok(connection);
    };
    match tail.compare(connection, server)? {
        Some(connection) => Ok(connection),
        None => {
            let context = reader.context;
            Ok(context.connect(Mode::Replication)?)
        }
    }
}

/// Whether commits may wait until the receiver has applied their WAL. WAL is received even if that
/// cannot be queried.
fn waits_for_apply(server: &Server, connection: &mut Connection) -> bool {
    let waits = connection.waits_for_apply(&server.application_name);
    waits.unwrap_or_else(|failure| {
        log::debug!("server {}: {failure}", server.name);
        false
    })
}

/// The history of the timeline that the archive followed: the recorded one, else the newest.
fn followed_history(
    repository: &Repository,
    directory: &WalDirectory,
) -> Result<Option<TimelineHistory>, Error> {
    let timeline = match repository.followed_timeline()? {
        Some(timeline) => Some(timeline),
        None => directory
            .segments()?
            .last()
            .map(|file| file.segment.timeline),
    };
    Ok(timeline.map(|timeline| {
        // A damaged file is reported where it is needed.
        let history = archived_history(directory, timeline).ok().flatten();
        history.unwrap_or_else(|| TimelineHistory::without_ancestors(timeline))
    }))
}

/// Logs a notice about the start.
pub(super) fn report_notice(server: &Server, notice: StartNotice) {
    let name = &server.name;
    match notice {
        StartNotice::Diverged {
            timeline,
            switch,
            end,
        } => log::error!(
            "server {name}: the server left timeline {timeline} at {switch}, the archive has WAL \
             of it up to {end}; transactions committed in between are no longer on the server; the \
             WAL is kept"
        ),
        StartNotice::Branch {
            followed,
            timeline,
            fork,
        } => {
            let fork = fork.map(|WalPosition { timeline, lsn }| {
                format!("; they diverge on timeline {timeline} at {lsn}")
            });
            log::warn!(
                "server {name}: timeline {timeline} of the server does not descend from timeline \
                 {followed}, which the archive followed until now{}; WAL is received on timeline \
                 {timeline}, and that of timeline {followed} is kept and can still be restored \
                 (timeline={followed})",
                fork.unwrap_or_default()
            );
        }
        StartNotice::Failback {
            followed,
            timeline,
            fork,
        } => log::warn!(
            "server {name}: the server is on timeline {timeline}, from which timeline {followed}, \
             that the archive followed until now, branched at {fork}: a failback, or this standby \
             does not follow it; WAL is received on timeline {timeline}, and that of timeline \
             {followed} is kept and can still be restored (timeline={followed}); hint: before this \
             server or a standby of it is promoted, copy the .history files of the archive ({}) \
             into its pg_wal and set recovery_target_timeline = 'current': it then takes a \
             timeline ID that the archive does not have",
            followed.history_name()
        ),
        StartNotice::NoWalOnPath { timeline, from } => log::warn!(
            "server {name}: the archive has no WAL on the path to timeline {timeline} of the \
             server; WAL is received from {from} on; the archived WAL is kept; hint: take a full \
             backup now"
        ),
        StartNotice::Gap { from, to } => log::error!(
            "server {name}: WAL from {from} to {to} is lost, the server has removed it; hint: take \
             a full backup now"
        ),
        StartNotice::WaitsForApply => log::warn!(
            "server {name}: synchronous_standby_names lists {:?} and synchronous_commit is \
             remote_apply: a commit that waits for it hangs, since WAL is received and never \
             applied here; hint: set synchronous_commit = on on the server, which waits until the \
             WAL is on disk here, or take the name out of synchronous_standby_names",
            server.application_name
        ),
    }
}

/// Fails if the second connection reached another server than the first one.
fn check_identity(identity: &SystemIdentity, server_info: &ServerInfo) -> Result<(), ReceiveError> {
    if identity.system_identifier == server_info.system_identifier {
        return Ok(());
    }
    let message = format!(
        "two connections reached different clusters (system identifiers {} and {})",
        server_info.system_identifier, identity.system_identifier
    );
    Err(ReceiveError::NeedsOperator(
        Error::new(ErrorKind::Configuration, message)
            .with_hint("host must name one server, not a group of them"),
    ))
}
