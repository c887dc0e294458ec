//! The status: disk space, and for each server its WAL receiver, its operations and its backups.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Server;
use crate::error::Result;
use crate::job::catalogue::{self, Catalogue};
use crate::job::context::{DaemonContext, ServerContext};
use crate::job::room;
use crate::job::scrub::{Restorable, VerifiedArchive};
use crate::repository::{Backup, Gap};
use crate::status::Activity;
use crate::status::safety::{self, DamagedBackup, Facts, Moment, Problem, Thresholds};
use crate::storage::{Filesystem, Space};
use crate::unit::Timestamp;

/// How old what the server has said about itself may be.
const SLOT_MAX_AGE: Duration = Duration::from_secs(300);

/// The status of the daemon.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the file system with the repository.
    pub space: Space,
    /// Bytes stored for all servers.
    pub used: u64,
    /// Bytes of it that are reserved for WAL.
    pub reserve: u64,
    /// The days until a disk of the repository is full, the first one if there are several; `None`
    /// if none gets fuller, or that is not known yet.
    pub days_left: Option<u64>,
    /// The setting `workers`: the number of threads of the pool; 0 is one for each CPU.
    pub workers: u32,
    /// In the order of the configuration.
    pub servers: Vec<ServerStatus>,
}

/// The status of one server.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// The section of the server in the configuration.
    pub server: Arc<Server>,
    /// The running operations, oldest first.
    pub running: Vec<Activity>,
    /// Empty if it could not be read.
    pub catalogue: Catalogue,
    /// Bytes stored for the server: its backups and its WAL.
    pub size: u64,
    /// The interval that the last verification of WAL has proven; `None` if there is none.
    pub restorable: Option<Restorable>,
    /// What decides whether the server is safe, with the state of its WAL receiver.
    pub facts: Facts,
}

impl ServerStatus {
    /// Whether an operation of this type is running for the server.
    pub fn is_running(&self, activity: Activity) -> bool {
        self.running.contains(&activity)
    }

    /// What is wrong with the server, the most urgent first.
    pub fn problems(&self, thresholds: &Thresholds) -> Vec<Problem> {
        safety::problems(&self.facts, thresholds, Moment::now())
    }
}

/// Collects the status of all servers.
pub fn run(daemon: &DaemonContext, servers: &[ServerContext]) -> Result<Outcome> {
    let servers: Result<Vec<_>> = servers.iter().map(server_status).collect();
    let mut servers = servers?;
    // Without base_dir the state of the receivers is still known.
    let space = Filesystem::space(&daemon.config.base_dir).unwrap_or_else(|error| {
        let why = error.message_with_hint();
        let facts = servers.iter_mut().map(|server| &mut server.facts);
        facts.for_each(|facts| facts.unknown.push(why.clone()));
        Space::default()
    });
    let sizes = servers.iter().map(|server| server.size);
    let used = sizes.fold(0, u64::saturating_add);
    let days_left = servers.iter();
    let days_left = days_left.filter_map(|server| server.facts.room.days_left);
    Ok(Outcome {
        space,
        used,
        reserve: daemon.config.reserve_space.of(space.total),
        days_left: days_left.min(),
        workers: daemon.config.server_defaults.workers,
        servers,
    })
}

fn server_status(context: &ServerContext) -> Result<ServerStatus> {
    let running = context.status.running().into_iter();
    let mut unknown = Vec::new();
    // An error of one server does not hide the others.
    let listed = catalogue::list_and_check_gaps(context);
    let (catalogue, gaps, size) = listed.unwrap_or_else(|error| {
        unknown.push(error.message().to_owned());
        (Catalogue::default(), Vec::new(), 0)
    });
    let mut facts = Facts {
        server: context.server.name.clone(),
        receiver: context.status.receiver(),
        receiver_timeout: context.server.wal_receiver_timeout.duration(),
        // Without a repository there is an error above.
        room: room::room(context).unwrap_or_default(),
        backups: catalogue.entries.len(),
        unknown,
        ..Facts::default()
    };
    let backups = catalogue.entries.iter().map(|entry| &entry.backup);
    facts.damaged_backups = backups.filter_map(damage).collect();
    observed(context, &mut facts);
    let verified = verification(context, &catalogue, &gaps, &mut facts);
    let restorable = verified.unwrap_or_else(|error| {
        facts.unknown.push(error.message().to_owned());
        None
    });
    Ok(ServerStatus {
        server: context.server.clone(),
        running: running.map(|(activity, _)| activity).collect(),
        catalogue,
        size,
        restorable,
        facts,
    })
}

/// Adds what the server has said about itself lately.
fn observed(context: &ServerContext, facts: &mut Facts) {
    let observation = context.status.observation();
    let recent = observation
        .observed_at
        .is_some_and(|at| at.elapsed() < SLOT_MAX_AGE);
    if recent {
        facts.wal_end = observation.wal_end;
        let slot = observation.slot.as_ref();
        facts.slot_status = slot.map(|slot| slot.wal_status.clone());
    }
}

/// Why a backup cannot be restored, if it cannot.
fn damage(backup: &Backup) -> Option<DamagedBackup> {
    Some(DamagedBackup {
        label: backup.label.clone(),
        why: backup.damage()?,
        unreadable: backup.is_unreadable(),
    })
}

/// Adds what verification has found to the facts, and returns what it has proven.
fn verification(
    context: &ServerContext,
    catalogue: &Catalogue,
    gaps: &[Gap],
    facts: &mut Facts,
) -> Result<Option<Restorable>> {
    let Ok(repository) = context.repository() else {
        // That is among what is not known already.
        return Ok(None);
    };
    let info = repository.verification();
    let backups = catalogue.entries.iter().map(|entry| entry.backup.clone());
    let backups: Vec<Backup> = backups.collect();
    let good = |backup: &&Backup| backup.damage().is_none() && !info.has_problem(&backup.label);
    facts.newest_backup = backups.iter().filter(good).filter_map(ended).max();
    let verified = info.wal.as_ref().map(|findings| findings.begun);
    facts.verified = verified.map(Timestamp::from_seconds);
    let archive = VerifiedArchive {
        repository: &repository,
        key: &context.daemon.key,
        stop: &context.stop,
        info: &info,
        backups: &backups,
        gaps,
    };
    facts.findings.extend(archive.problems()?);
    let (restorable, why_incomplete) = archive.restorable()?;
    facts.findings.extend(why_incomplete);
    Ok(restorable)
}

/// When a backup ended; of one of the C program that does not say so, when it began.
fn ended(backup: &Backup) -> Option<Timestamp> {
    let end = backup.info.stop_time.map(Timestamp);
    end.or_else(|| backup.label.timestamp())
}
