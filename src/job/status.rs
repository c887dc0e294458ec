//! How everything is: the room on disk, and for each server its receiver, its operations and its backups.

use crate::config::Server;
use crate::error::Result;
use crate::job::catalogue::{self, Catalogue};
use crate::job::context::Context;
use crate::job::wal;
use crate::status::{Activity, ReceiverState};
use crate::storage::{Filesystem, Space};

/// How everything is.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The room where the repository lies.
    pub space: Space,
    /// Bytes stored for all servers.
    pub used: u64,
    /// The threads that jobs share, as the configuration says: 0 is one for each CPU.
    pub workers: u32,
    /// The servers, in the order of the configuration.
    pub servers: Vec<ServerStatus>,
}

/// How one server is.
#[derive(Clone, Debug)]
pub struct ServerStatus {
    /// Its configuration.
    pub server: Server,
    /// Its receiver.
    pub receiver: ReceiverState,
    /// The operations that are running.
    pub running: Vec<Activity>,
    /// Its backups and WAL.
    pub catalogue: Catalogue,
    /// What somebody must look after, in words; empty if all is well.
    pub problems: Vec<String>,
}

impl ServerStatus {
    /// Whether an operation of this sort is running.
    pub fn is_running(&self, activity: Activity) -> bool {
        self.running.contains(&activity)
    }
}

/// Asks for everything.
pub fn run(context: &Context) -> Result<Outcome> {
    let servers = context.config.servers.iter();
    let servers: Result<Vec<_>> = servers.map(|server| one(context, server)).collect();
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

fn one(context: &Context, server: &Server) -> Result<ServerStatus> {
    let running = context.board.running(&server.name).into_iter();
    let mut problems = Vec::new();
    // The other servers are shown all the same.
    let catalogue = look(context, server).unwrap_or_else(|failure| {
        problems.push(failure.message().to_owned());
        Catalogue::default()
    });
    let receiver = context.board.receiver(&server.name);
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

/// Reads what there is, and whether WAL is missing: somebody may have taken it away, or brought it back.
fn look(context: &Context, server: &Server) -> Result<Catalogue> {
    wal::look_for_gaps(context, server)?;
    catalogue::list(context, server)
}
