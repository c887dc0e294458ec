//! What every job works with.

use std::sync::Arc;

use crate::config::{Config, Server};
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::pg::Login;
use crate::pool::Pool;
use crate::repository::{BaseDirectory, Repository};
use crate::status::Board;
use crate::sys::Stop;
use crate::unit::ServerName;
use crate::vault::Vault;

/// What every job works with; cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The configuration.
    pub config: Arc<Config>,
    /// The repository of all servers.
    pub base: Arc<BaseDirectory>,
    /// The users, for log-ins.
    pub vault: Arc<Vault>,
    /// The key for stored files.
    pub key: Arc<MasterKey>,
    /// The shared state.
    pub board: Arc<Board>,
    /// The workers.
    pub pool: Arc<Pool>,
    /// The daemon's request to stop.
    pub stop: Stop,
}

impl Context {
    /// The repository of a server. Fails if its directories are not those that were found at the start.
    pub fn repository(&self, server: &ServerName) -> Result<Repository> {
        self.base.repository(server)
    }

    /// The log-in for a server.
    pub fn login(&self, server: &Server) -> Login {
        Login::new(&self.config, server, self.vault.password(&server.user))
    }
}
