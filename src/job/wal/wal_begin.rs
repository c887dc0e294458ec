//! An archive begins, or continues after a gap, only if no WAL was acknowledged before, or an
//! operator confirms it with `wal begin`.

use super::error::{OBJECT_IN_USE, ReceiveError};
use super::start::StartNotice;
use crate::config::Server;
use crate::error::{Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::pg::{Mode, ServerInfo, Slot};
use crate::repository::Repository;
use crate::unit::{Lsn, PgVersion, Segment, Timeline};

/// Checks that the archive has the WAL that was acknowledged by the slot. Otherwise it may begin if
/// nothing was received yet and the slot is missing or unused, or if an operator confirmed it. In
/// all other cases WAL was lost, or the archive is not mounted.
pub(super) fn check(
    server: &Server,
    repository: &Repository,
    slot: Option<&Slot>,
) -> std::result::Result<(), ReceiveError> {
    let restart = slot.and_then(|slot| slot.restart_lsn);
    let has_wal = repository.has_acknowledged_wal(restart);
    if has_wal.map_err(ReceiveError::archive)? || repository.may_start_wal() {
        return Ok(());
    }
    if let Some(process) = slot.and_then(|slot| slot.active_pid.as_ref()) {
        // The same error as START_REPLICATION gives: this must be fixed first.
        let message = format!(
            "replication slot {:?} is active for PID {process}",
            server.wal_slot
        );
        let failure = Error::new(ErrorKind::Server, message).with_code(OBJECT_IN_USE);
        return Err(ReceiveError::from(failure.with_hint(
            "another receiver streams from this slot: every receiver needs a slot of its own \
             (wal_slot)",
        )));
    }
    if restart.is_none() && !repository.was_streamed() {
        return repository.allow_wal_start().map_err(ReceiveError::archive);
    }
    Err(ReceiveError::NeedsOperator(missing_archive(
        server, repository, restart,
    )))
}

fn missing_archive(server: &Server, repository: &Repository, restart: Option<Lsn>) -> Error {
    let (name, slot, path) = (&server.name, &server.wal_slot, repository.wal_path());
    let path = path.display();
    let (message, from) = match restart {
        Some(restart) => (
            format!(
                "{path} has no WAL up to {restart}, from where on the server holds it for \
                 replication slot {slot:?}, which was used before"
            ),
            format!("from {restart} on"),
        ),
        None => (
            format!(
                "{path} is empty, though WAL was received before, and the server has no \
                 replication slot {slot:?} that was used"
            ),
            "from now on".to_owned(),
        ),
    };
    Error::new(ErrorKind::NotFound, message).with_hint(format!(
        "is the file system of {path} mounted? If the archive is new, or lost for good: \
         pgmoneta-cli wal begin {name}; WAL is received {from} then, and what comes before is not \
         in the archive"
    ))
}

/// Fails on a gap that no operator has confirmed: an archive that ends before its slot begins may
/// be an older copy of the right one, or another receiver used the slot. WAL that is acknowledged
/// now can never be received into the right one.
pub(super) fn check_gap(
    context: &ServerContext,
    repository: &Repository,
    notices: &[StartNotice],
) -> std::result::Result<(), ReceiveError> {
    let server = &context.server;
    let gap = notices.iter().find_map(|notice| match notice {
        StartNotice::Gap { from, to } => Some((from, to)),
        _ => None,
    });
    let gap = gap.filter(|_| !repository.may_start_wal());
    context.status.update_receiver(|state| {
        state.awaits_wal_begin = gap.is_some();
    });
    let Some((from, to)) = gap else {
        return Ok(());
    };
    let (name, slot, path) = (&server.name, &server.wal_slot, repository.wal_path());
    let path = path.display();
    let message = format!(
        "{path} has no WAL from {from} to {to}, where replication slot {slot:?} begins, and the \
         server has removed it"
    );
    Err(ReceiveError::NeedsOperator(
        Error::new(ErrorKind::NotFound, message).with_hint(format!(
            "is the right file system of {path} mounted, or is this an older copy? Was the slot \
             used by another receiver? If that WAL is lost for good: pgmoneta-cli wal begin \
             {name}; WAL is received from {to} on then, and earlier backups can be recovered up to \
             {from} only"
        )),
    ))
}

/// The result of `wal begin`.
#[derive(Clone, Copy, Debug)]
pub struct WalBegin {
    /// Where WAL will be received from; `None` if there is no slot.
    pub position: Option<Lsn>,
    /// The PostgreSQL version of the server.
    pub version: PgVersion,
}

/// Lets the WAL archive of `server` begin: creates missing directories, and WAL is received from
/// the slot's `restart_lsn` on. Refused with [`ErrorKind::Usage`] where nothing is missing.
pub fn begin(context: &ServerContext) -> Result<WalBegin> {
    let server = &context.server;
    let name = &server.name;
    let mut connection = context.connect(Mode::Sql)?;
    let server_info = ServerInfo::read(&mut connection)?;
    let slot = Slot::find(&mut connection, &server.wal_slot)?;
    let restart = slot.and_then(|slot| slot.restart_lsn);
    let awaited = context.status.receiver().awaits_wal_begin;
    let repository = match context.repository() {
        Err(failure) if failure.kind() == ErrorKind::NotFound => {
            let repository = context.daemon.base.create_server(name)?;
            log::warn!(
                "server {name}: the directories of its repository were created, as requested"
            );
            repository
        }
        found => {
            let repository = found?;
            if !awaited {
                check_needed(server, &repository, restart)?;
            }
            repository
        }
    };
    if let Some(system) = repository.system()?
        && system.system_identifier != server_info.system_identifier
    {
        return Err(Error::new(
            ErrorKind::Configuration,
            "the server is another cluster than the one that the archive belongs to",
        ));
    }
    if awaited || !repository.has_acknowledged_wal(restart)? {
        repository.allow_wal_start()?;
    }
    let position = restart.map(|restart| {
        let size = server_info.segment_size;
        Segment::containing(Timeline::FIRST, restart, size).start(size)
    });
    match position {
        Some(position) => log::warn!(
            "server {name}: the WAL archive begins at {position}, as requested; hint: take a full \
             backup now"
        ),
        None => log::warn!("server {name}: the WAL archive begins, as requested"),
    }
    context
        .status
        .update_receiver(|state| state.reconnect_now = true);
    Ok(WalBegin {
        position,
        version: server_info.version,
    })
}

fn check_needed(server: &Server, repository: &Repository, restart: Option<Lsn>) -> Result<()> {
    let name = &server.name;
    if repository.has_acknowledged_wal(restart)? {
        let message =
            format!("the WAL archive of server {name} is complete: wal begin is not needed");
        return Err(Error::new(ErrorKind::Usage, message)
            .with_hint("pgmoneta-cli status shows the problems, if any"));
    }
    Ok(())
}
