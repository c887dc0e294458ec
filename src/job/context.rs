//! What the daemon has for all servers, and what it has for each.

use std::sync::Arc;

use crate::codec::EncodeOptions;
use crate::config::{Config, ConfigHandle, Server};
use crate::crypto::MasterKey;
use crate::error::Result;
use crate::job::pace::Pace;
use crate::pg::{Connection, Login, Mode};
use crate::pool::Pool;
use crate::repository::{BaseDirectory, Repository};
use crate::status::{Disks, ServerState};
use crate::sys::Stop;
use crate::vault::Vault;

/// The shared resources of the daemon; cheap to clone.
#[derive(Clone)]
pub struct DaemonContext {
    /// As it was when the operation began.
    pub config: Arc<Config>,
    /// Hands out the configuration for the operations that begin from now on.
    pub config_handle: ConfigHandle,
    /// The repository with the directories of all servers.
    pub base: Arc<BaseDirectory>,
    /// The passwords for PostgreSQL.
    pub vault: Arc<Vault>,
    /// Encrypts and authenticates stored files.
    pub key: Arc<MasterKey>,
    /// The worker threads; their number is the setting `workers`.
    pub pool: Arc<Pool>,
    /// The rate of verification by the schedule, for all servers together.
    pub pace: Arc<Pace>,
    /// What is remembered of the file systems of the repository.
    pub disks: Arc<Disks>,
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
    /// For an operation that begins now: with the current configuration.
    #[must_use]
    pub fn current(&self) -> DaemonContext {
        DaemonContext {
            config: self.config_handle.current(),
            ..self.clone()
        }
    }

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

    /// For an operation that begins now: with the current configuration, in which the server may
    /// be missing; then with the one that it had.
    #[must_use]
    pub fn current(&self) -> ServerContext {
        let daemon = self.daemon.current();
        let mut servers = daemon.config.servers.iter();
        let found = servers.find(|server| server.name == self.server.name);
        ServerContext {
            server: found.map_or_else(|| self.server.clone(), |found| Arc::new(found.clone())),
            daemon,
            ..self.clone()
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Secret;

    fn config(names: &[&str], user: &str) -> Config {
        let server = |name: &&str| Server {
            name: name.parse().unwrap(),
            user: user.to_owned(),
            ..Server::default()
        };
        Config {
            servers: names.iter().map(server).collect(),
            ..Config::default()
        }
    }

    #[test]
    fn an_operation_keeps_its_configuration_and_the_next_gets_the_current_one() {
        let process = std::process::id();
        let root = std::env::temp_dir().join(format!("pgmoneta-context-{process}"));
        BaseDirectory::create(&root, &[]).unwrap();
        let config_handle = ConfigHandle::new(config(&["a", "b"], "old"));
        let daemon = DaemonContext {
            config: config_handle.current(),
            config_handle: config_handle.clone(),
            base: Arc::new(BaseDirectory::open(&root, &[]).unwrap()),
            vault: Arc::default(),
            key: Arc::new(MasterKey::derive(
                &Secret::new(b"secret".to_vec()),
                &[1; 16],
            )),
            pool: Arc::new(Pool::new(1).unwrap()),
            pace: Arc::new(Pace::new(0)),
            disks: Arc::default(),
            stop: Stop::new().unwrap(),
        };
        let servers = daemon.servers().unwrap();
        config_handle.replace(config(&["b", "c"], "new"));
        let users = |context: &ServerContext| {
            let servers = &context.daemon.config.servers;
            (context.server.user.clone(), servers[0].name.to_string())
        };
        for context in &servers {
            assert_eq!(users(context), ("old".to_owned(), "a".to_owned()));
        }
        let [a, b] = [&servers[0], &servers[1]].map(ServerContext::current);
        assert_eq!(
            users(&a),
            ("old".to_owned(), "b".to_owned()),
            "it is removed"
        );
        assert_eq!(users(&b), ("new".to_owned(), "b".to_owned()));
        assert!(Arc::ptr_eq(&b.status, &servers[1].status));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
