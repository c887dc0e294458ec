//! What the daemon has for all servers, and what it has for each.

use std::sync::Arc;

use crate::codec::EncodeOptions;
use crate::config::{Config, Server};
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::pg::{Connection, Login, Mode};
use crate::pool::Pool;
use crate::repository::{BaseDirectory, Repository};
use crate::status::ServerState;
use crate::sys::Stop;
use crate::vault::Vault;

/// The shared resources of the daemon; cheap to clone.
#[derive(Clone)]
pub struct DaemonContext {
    /// As loaded when the daemon started.
    pub config: Arc<Config>,
    /// The repository with the directories of all servers.
    pub base: Arc<BaseDirectory>,
    /// The passwords for PostgreSQL.
    pub vault: Arc<Vault>,
    /// Encrypts and authenticates stored files.
    pub key: Arc<MasterKey>,
    /// The worker threads; their number is the setting `workers`.
    pub pool: Arc<Pool>,
    /// Requested when the daemon shuts down.
    pub stop: Stop,
}

/// One server, as every operation on it gets it; cheap to clone.
#[derive(Clone)]
pub struct ServerContext {
    /// Its configuration.
    pub server: Arc<Server>,
    /// Its WAL receiver and its running operations.
    pub status: Arc<ServerState>,
    /// Ends what runs for this server; requested with that of the daemon too.
    pub stop: Stop,
    /// What all servers share.
    pub daemon: DaemonContext,
}

impl DaemonContext {
    /// How files are written, from the configuration.
    pub fn encode_options(&self) -> EncodeOptions {
        EncodeOptions {
            compression: self.config.compression,
            level: self.config.compression_level,
            encryption: self.config.encryption,
            key: Some(self.key.clone()),
        }
    }

    /// The servers of the configuration, in its order.
    pub fn servers(&self) -> Result<Vec<ServerContext>> {
        let servers = self.config.servers.iter();
        servers
            .map(|server| ServerContext::new(self, server))
            .collect()
    }
}

impl ServerContext {
    /// A server of the configuration, for which nothing runs yet.
    pub fn new(daemon: &DaemonContext, server: &Server) -> Result<ServerContext> {
        Ok(ServerContext {
            server: Arc::new(server.clone()),
            status: ServerState::new(&server.name),
            stop: daemon.stop.child()?,
            daemon: daemon.clone(),
        })
    }

    /// The same server with a stop of its own, which ends one of the things that run for it.
    pub fn with_own_stop(&self) -> Result<ServerContext> {
        Ok(ServerContext {
            stop: self.stop.child()?,
            ..self.clone()
        })
    }

    /// Its repository. Fails if the directories are missing, or were replaced since the daemon
    /// started.
    pub fn repository(&self) -> Result<Repository> {
        self.daemon.base.repository(&self.server.name)
    }

    /// Logs in to the server.
    pub fn connect(&self, mode: Mode) -> Result<Connection> {
        let password = self.daemon.vault.password(&self.server.user);
        let login = Login::new(&self.daemon.config, &self.server, password);
        Connection::open(&login, mode, &self.stop)
    }
}
