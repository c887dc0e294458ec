//! The status: disk space, and for each server its WAL receiver, its operations and its backups.

use crate::config::Server;
use crate::error::Result;
use crate::job::catalogue::{self, Catalogue};
use crate::job::context::JobContext;
use crate::job::wal;
use crate::status::{Activity, ReceiverState};
use crate::storage::{Filesystem, Space};

/// The status of the daemon.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the file system with the repository.
    pub space: Space,
    /// Bytes stored for all servers.
    pub used: u64,
    /// The setting `workers`: the number of threads of the pool; 0 is one for each CPU.
    pub workers: u32,
    /// In the order of the configuration.
    pub servers: Vec<ServerStatus>,
}

/// The status of one server.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// The section of the server in the configuration.
    pub server: Server,
    /// The state of its WAL receiver.
    pub receiver: ReceiverState,
    /// The running operations, oldest first.
    pub running: Vec<Activity>,
    /// Empty if it could not be read; then `problems` has the error.
    pub catalogue: Catalogue,
    /// What needs the operator, one text for each problem; empty if the server is healthy.
    pub problems: Vec<String>,
}

impl ServerStatus {
    /// Whether an operation of this type is running for the server.
    pub fn is_running(&self, activity: Activity) -> bool {
        self.running.contains(&activity)
    }
}

/// Collects the status of all servers.
pub fn run(context: &JobContext) -> Result<Outcome> {
    let servers = context.config.servers.iter();
    let servers: Result<Vec<_>> = servers
        .map(|server| server_status(context, server))
        .collect();
    let servers = servers?;
    let sizes = servers.iter().map(|server| server.catalogue.size);
    let used = sizes.fold(0, u64::saturating_add);
    Ok(Outcome {
        space: Filesystem::space(&context.config.base_dir)?,
        used,
        workers: context.config.configured_workers,
        servers,
    })
}

fn server_status(context: &JobContext, server: &Server) -> Result<ServerStatus> {
    let running = context.registry.running(&server.name).into_iter();
    let mut problems = Vec::new();
    // An error of one server does not hide the others.
    let catalogue = read_catalogue(context, server).unwrap_or_else(|failure| {
        problems.push(failure.message().to_owned());
        Catalogue::default()
    });
    let receiver = context.registry.receiver(&server.name);
    problems.extend(receiver.problems(server.wal_receiver_timeout.duration()));
    let entries = catalogue.entries.iter();
    problems.extend(entries.filter_map(|entry| entry.backup.damage()));
    Ok(ServerStatus {
        problems,
        server: server.clone(),
        receiver,
        running: running.map(|(activity, _)| activity).collect(),
        catalogue,
    })
}

/// Reads the catalogue, after a check for gaps: WAL files may have been removed, or put back.
fn read_catalogue(context: &JobContext, server: &Server) -> Result<Catalogue> {
    wal::check_gaps(context, server)?;
    catalogue::list(context, server)
}
