//! The status: disk space, and for each server its WAL receiver, its operations and its backups.

use std::sync::Arc;

use crate::config::Server;
use crate::error::Result;
use crate::job::catalogue::{self, Catalogue};
use crate::job::context::{DaemonContext, ServerContext};
use crate::job::room::{self, DiskStatus};
use crate::job::scrub::{Restorable, VerifiedArchive};
use crate::repository::{Backup, Gap};
use crate::status::{Activity, ReceiverState};
use crate::storage::{Filesystem, Space};

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
    /// The state of its WAL receiver.
    pub receiver: ReceiverState,
    /// The running operations, oldest first.
    pub running: Vec<Activity>,
    /// Empty if it could not be read; then `problems` has the error.
    pub catalogue: Catalogue,
    /// Bytes stored for the server: its backups and its WAL.
    pub size: u64,
    /// The interval that the last verification of WAL has proven; `None` if there is none.
    pub restorable: Option<Restorable>,
    /// What needs the operator, one text for each problem; empty if the server is healthy.
    pub problems: Vec<String>,
    /// Its disk.
    pub disk: DiskStatus,
}

impl ServerStatus {
    /// Whether an operation of this type is running for the server.
    pub fn is_running(&self, activity: Activity) -> bool {
        self.running.contains(&activity)
    }
}

/// Collects the status of all servers.
pub fn run(daemon: &DaemonContext, servers: &[ServerContext]) -> Result<Outcome> {
    let servers: Result<Vec<_>> = servers.iter().map(server_status).collect();
    let mut servers = servers?;
    // Without base_dir the state of the receivers is still known.
    let space = Filesystem::space(&daemon.config.base_dir).unwrap_or_else(|error| {
        let why = error.message_with_hint();
        let problems = servers.iter_mut().map(|server| &mut server.problems);
        problems.for_each(|problems| problems.push(why.clone()));
        Space::default()
    });
    let sizes = servers.iter().map(|server| server.size);
    let used = sizes.fold(0, u64::saturating_add);
    let days_left = servers.iter().filter_map(|server| server.disk.days_left);
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
    let mut problems = Vec::new();
    // An error of one server does not hide the others.
    let listed = catalogue::list_and_check_gaps(context);
    let (catalogue, gaps, size) = listed.unwrap_or_else(|error| {
        problems.push(error.message().to_owned());
        (Catalogue::default(), Vec::new(), 0)
    });
    // Without a repository there is an error above.
    let disk = room::disk_status(context).unwrap_or_default();
    problems.extend(disk.problem.clone());
    let receiver = context.status.receiver();
    problems.extend(receiver.problems(context.server.wal_receiver_timeout.duration()));
    let entries = catalogue.entries.iter();
    problems.extend(entries.filter_map(|entry| damage(context, &entry.backup)));
    let verified = verification(context, &catalogue, &gaps, &mut problems);
    let restorable = verified.unwrap_or_else(|error| {
        problems.push(error.message().to_owned());
        None
    });
    Ok(ServerStatus {
        problems,
        server: context.server.clone(),
        receiver,
        running: running.map(|(activity, _)| activity).collect(),
        catalogue,
        size,
        restorable,
        disk,
    })
}

/// Why a backup cannot be restored, and what to do.
fn damage(context: &ServerContext, backup: &Backup) -> Option<String> {
    let why = backup.damage()?;
    if backup.is_unreadable() {
        return Some(why);
    }
    let (server, label) = (&context.server.name, &backup.label);
    Some(format!(
        "{why}; take a full backup, then: pgmoneta-cli delete {server} {label} (its directory must \
         not be removed by hand: other backups may have links to its files)"
    ))
}

/// Adds what verification has found to the problems, and returns what it has proven.
fn verification(
    context: &ServerContext,
    catalogue: &Catalogue,
    gaps: &[Gap],
    problems: &mut Vec<String>,
) -> Result<Option<Restorable>> {
    let Ok(repository) = context.repository() else {
        // That is among the problems already.
        return Ok(None);
    };
    let info = repository.verification();
    let backups = catalogue.entries.iter().map(|entry| entry.backup.clone());
    let backups: Vec<Backup> = backups.collect();
    let archive = VerifiedArchive {
        repository: &repository,
        key: &context.daemon.key,
        stop: &context.stop,
        info: &info,
        backups: &backups,
        gaps,
    };
    problems.extend(archive.problems()?);
    let (restorable, why_incomplete) = archive.restorable()?;
    problems.extend(why_incomplete);
    Ok(restorable)
}
