//! How everything is: the room on disk, and for each server its receiver, its operations and its backups.

use crate::config::Server;
use crate::error::Result;
use crate::job::catalogue::{self, Catalogue};
use crate::job::context::Context;
use crate::status::{Activity, ReceiverState};
use crate::storage::{Filesystem, Space};

/// How everything is.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The room where the repository lies.
    pub space: Space,
    /// Bytes stored for all servers.
    pub used: u64,
    /// The threads that jobs share.
    pub workers: usize,
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
    let used = servers.iter().map(|server| server.catalogue.size).sum();
    Ok(Outcome {
        space: Filesystem::space(&context.config.base_dir)?,
        used,
        workers: context.config.workers,
        servers,
    })
}

fn one(context: &Context, server: &Server) -> Result<ServerStatus> {
    let running = context.board.running(&server.name).into_iter();
    Ok(ServerStatus {
        server: server.clone(),
        receiver: context.board.receiver(&server.name),
        running: running.map(|(activity, _)| activity).collect(),
        catalogue: catalogue::list(context, server)?,
    })
}
