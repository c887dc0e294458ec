//! An archive begins, or goes on after a gap, only where nothing can have been acknowledged before, or where a person wants it.

use super::start::Note;
use super::trouble::{OBJECT_IN_USE, Trouble};
use crate::config::Server;
use crate::error::{Failure, Kind, Result};
use crate::job::context::Context;
use crate::pg::{Connection, Facts, Mode, Slot};
use crate::repository::Repository;
use crate::unit::{Lsn, PgVersion, Segment, Timeline};

/// Checks that the archive has what was acknowledged, as far as the slot shows it; otherwise the archive may begin if
/// nothing was received yet and the slot is missing or was never used, or if somebody said so. In all other cases WAL was lost, or the archive is
/// not mounted.
pub(super) fn check(
    server: &Server,
    repository: &Repository,
    slot: Option<&Slot>,
) -> std::result::Result<(), Trouble> {
    let restart = slot.and_then(|slot| slot.restart);
    let there = repository.has_acknowledged_wal(restart);
    if there.map_err(Trouble::archive)? || repository.may_begin() {
        return Ok(());
    }
    if let Some(process) = slot.and_then(|slot| slot.active.as_ref()) {
        // As the server says it to whoever wants to stream from it: the first thing to be put right.
        let message = format!(
            "replication slot {:?} is active for PID {process}",
            server.wal_slot
        );
        let failure = Failure::new(Kind::Server, message).sqlstate(OBJECT_IN_USE);
        return Err(Trouble::from(failure.hint(
            "someone else streams from this slot: every receiver needs a slot of its own (wal_slot)",
        )));
    }
    if restart.is_none() && !repository.was_received() {
        return repository.allow_beginning().map_err(Trouble::archive);
    }
    Err(Trouble::Lasting(lost(server, repository, restart)))
}

fn lost(server: &Server, repository: &Repository, restart: Option<Lsn>) -> Failure {
    let (name, slot, path) = (&server.name, &server.wal_slot, repository.wal_path());
    let path = path.display();
    let (message, from) = match restart {
        Some(restart) => (
            format!(
                "{path} has no WAL up to {restart}, from where on the server holds it for replication slot {slot:?}, which \
                 was used before"
            ),
            format!("from {restart} on"),
        ),
        None => (
            format!(
                "{path} is empty, though WAL was received before, and the server has no replication slot {slot:?} that was \
                 used"
            ),
            "from now on".to_owned(),
        ),
    };
    Failure::new(Kind::NotFound, message).hint(format!(
        "is the file system of {path} mounted? If the archive is new, or lost for good: pgmoneta-cli wal begin {name}; WAL \
         is received {from} then, and what comes before is not in the archive"
    ))
}

/// Refuses to go on after a gap that nobody has consented to: an archive that ends before its slot begins may be an older
/// copy of the right one, or the slot has served somebody else. What is acknowledged now, the right one will never get.
pub(super) fn check_gap(
    context: &Context,
    server: &Server,
    repository: &Repository,
    notes: &[Note],
) -> std::result::Result<(), Trouble> {
    let gap = notes.iter().find_map(|note| match note {
        Note::Gap { from, to } => Some((from, to)),
        _ => None,
    });
    let gap = gap.filter(|_| !repository.may_begin());
    context.board.update_receiver(&server.name, |state| {
        state.wants_consent = gap.is_some();
    });
    let Some((from, to)) = gap else {
        return Ok(());
    };
    let (name, slot, path) = (&server.name, &server.wal_slot, repository.wal_path());
    let path = path.display();
    let message = format!(
        "{path} has no WAL from {from} to {to}, where replication slot {slot:?} begins, and the server has removed it"
    );
    Err(Trouble::Lasting(Failure::new(Kind::NotFound, message).hint(
        format!(
            "is the right file system of {path} mounted, or is this an older copy? Was the slot used by somebody else? If \
             that WAL is lost for good: pgmoneta-cli wal begin {name}; WAL is received from {to} on then, and earlier \
             backups can be recovered up to {from} only"
        ),
    )))
}

/// What came of a consent.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    /// From where WAL will be received; `None` if there is no slot that says it.
    pub position: Option<Lsn>,
    /// The server's version.
    pub version: PgVersion,
}

/// Lets the WAL archive of `server` begin: its directories are made where they are missing, and WAL is received from
/// where the slot is. Refused with [`Kind::Usage`] where nothing is missing.
pub fn begin(context: &Context, server: &Server) -> Result<Beginning> {
    let name = &server.name;
    let mut connection = Connection::open(&context.login(server), Mode::Sql, &context.stop)?;
    let facts = Facts::read(&mut connection)?;
    let slot = Slot::find(&mut connection, &server.wal_slot)?;
    let restart = slot.and_then(|slot| slot.restart);
    let wanted = context.board.receiver(name).wants_consent;
    let repository = match context.repository(name) {
        Err(failure) if failure.kind() == Kind::NotFound => {
            let repository = context.base.begin(name)?;
            log::warn!(
                "server {name}: the directories of its repository begin anew, as was asked for"
            );
            repository
        }
        found => {
            let repository = found?;
            if !wanted {
                refuse_needless(server, &repository, restart)?;
            }
            repository
        }
    };
    if let Some(system) = repository.system()?
        && system.system_identifier != facts.system_identifier
    {
        return Err(Failure::new(
            Kind::Configuration,
            "the server is another cluster than the one that the archive belongs to",
        ));
    }
    if wanted || !repository.has_acknowledged_wal(restart)? {
        repository.allow_beginning()?;
    }
    let position = restart.map(|restart| {
        let size = facts.segment_size;
        Segment::containing(Timeline::FIRST, restart, size).start(size)
    });
    match position {
        Some(position) => log::warn!(
            "server {name}: the WAL archive begins at {position}, as was asked for; hint: take a full backup now"
        ),
        None => log::warn!("server {name}: the WAL archive begins, as was asked for"),
    }
    context
        .board
        .update_receiver(name, |state| state.hurry = true);
    Ok(Beginning {
        position,
        version: facts.version,
    })
}

fn refuse_needless(server: &Server, repository: &Repository, restart: Option<Lsn>) -> Result<()> {
    let name = &server.name;
    if repository.has_acknowledged_wal(restart)? {
        let message =
            format!("the WAL archive of server {name} has its WAL: nothing needs to begin");
        return Err(Failure::new(Kind::Usage, message)
            .hint("pgmoneta-cli status says what is wrong, if anything is"));
    }
    Ok(())
}
