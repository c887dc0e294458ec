//! The shared resources of the daemon, passed to every job.

use std::sync::Arc;

use crate::config::{Config, Server};
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::pg::Login;
use crate::pool::Pool;
use crate::repository::{BaseDirectory, Repository};
use crate::status::Registry;
use crate::sys::Stop;
use crate::unit::ServerName;
use crate::vault::Vault;

/// The shared resources of the daemon; cheap to clone.
#[derive(Clone)]
pub struct JobContext {
    /// As loaded when the daemon started.
    pub config: Arc<Config>,
    /// The repository with the directories of all servers.
    pub base: Arc<BaseDirectory>,
    /// The passwords for PostgreSQL.
    pub vault: Arc<Vault>,
    /// Encrypts and authenticates stored files.
    pub key: Arc<MasterKey>,
    /// The WAL receivers and the running operations.
    pub registry: Arc<Registry>,
    /// The worker threads; their number is the setting `workers`.
    pub pool: Arc<Pool>,
    /// Requested when the daemon shuts down.
    pub stop: Stop,
}

impl JobContext {
    /// The repository of a server. Fails if its directories were replaced since the daemon started.
    pub fn repository(&self, server: &ServerName) -> Result<Repository> {
        self.base.repository(server)
    }

    /// The connection parameters for a server.
    pub fn login(&self, server: &Server) -> Login {
        Login::new(&self.config, server, self.vault.password(&server.user))
    }
}
