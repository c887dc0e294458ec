//! Creates daemons.

use std::fmt::Write;

use super::cluster::Cluster;
use super::cluster_builder::{REPLICATION_PASSWORD, REPLICATION_USER};
use super::daemon::Daemon;
use super::scratch::{Scratch, write_owned};
use super::vault::{copy_vault, make_vault};

/// Long timeouts of the daemon, so that no test fails on a slow machine, no retention that the test
/// does not expect, and no reserve on a disk that others fill. A test may set others.
const DEFAULTS: [(&str, &str); 4] = [
    ("reserve_space", "0"),
    ("retention_interval", "86400"),
    ("authentication_timeout", "600s"),
    ("blocking_timeout", "600s"),
];

/// The options of a new daemon.
pub struct DaemonBuilder<'a> {
    scratch: &'a Scratch,
    /// The clusters of its servers.
    clusters: Vec<&'a Cluster>,
    name: String,
    global: String,
    servers: String,
    password: String,
    own_vault: bool,
    environment: Vec<(String, String)>,
}

impl<'a> DaemonBuilder<'a> {
    pub(super) fn new(scratch: &'a Scratch) -> Self {
        Self {
            scratch,
            clusters: Vec::new(),
            name: "moneta".to_owned(),
            global: String::new(),
            servers: String::new(),
            password: REPLICATION_PASSWORD.to_owned(),
            own_vault: false,
            environment: Vec::new(),
        }
    }

    /// The name of its directory in the scratch directory. Default: `moneta`.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Adds lines to the section `[pgmoneta]`.
    pub fn global(mut self, lines: &str) -> Self {
        writeln!(self.global, "{lines}").unwrap();
        self
    }

    /// Adds a server.
    pub fn server(self, name: &str, cluster: &'a Cluster) -> Self {
        self.server_with(name, cluster, "")
    }

    /// Adds a server, with more lines in its section.
    pub fn server_with(mut self, name: &str, cluster: &'a Cluster, lines: &str) -> Self {
        self.clusters.push(cluster);
        write!(
            self.servers,
            "\n[{name}]\nhost = 127.0.0.1\nport = {}\nuser = {REPLICATION_USER}\n\
             wal_slot = pgmoneta\ncreate_slot = on\n{lines}\n",
            cluster.port(),
        )
        .unwrap();
        self
    }

    /// Adds a server that cannot be connected to.
    pub fn offline_server(mut self, name: &str) -> Self {
        write!(
            self.servers,
            "\n[{name}]\nhost = 127.0.0.1\nport = 1\nuser = {REPLICATION_USER}\n\
             wal_slot = pgmoneta\n",
        )
        .unwrap();
        self
    }

    /// Sets a wrong password for PostgreSQL.
    pub fn password(mut self, password: &str) -> Self {
        self.password = password.to_owned();
        self
    }

    /// With its own master key. Otherwise daemons with the same password share one.
    pub fn own_vault(mut self) -> Self {
        self.own_vault = true;
        self
    }

    /// Adds a variable to the environment of the daemon.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes configuration and vault, and creates the repository, without starting the daemon.
    pub fn create(self) -> Daemon {
        let directory = self.scratch.directory(&self.name);
        for name in ["home", "run", "repo"] {
            self.scratch.directory(&format!("{}/{name}", self.name));
        }
        let at = directory.display();
        let mut configuration = format!(
            "[pgmoneta]\nhost = 127.0.0.1\nunix_socket_dir = {at}/run\nbase_dir = {at}/repo\n\
             log_type = console\nlog_level = debug\n{}",
            self.global
        );
        for (key, value) in DEFAULTS {
            if !self.global.contains(key) {
                writeln!(configuration, "{key} = {value}").unwrap();
            }
        }
        configuration.push_str(&self.servers);
        write_owned(&directory.join("pgmoneta.conf"), configuration);
        let daemon = Daemon {
            directory,
            environment: self.environment,
            process: None,
        };
        if self.own_vault {
            make_vault(daemon.directory(), &self.password);
        } else {
            copy_vault(daemon.directory(), &self.password);
        }
        daemon.create_repository();
        daemon
    }

    /// As [`DaemonBuilder::create`], then [`Daemon::start`].
    pub fn start(self) -> Daemon {
        let mut daemon = self.create();
        daemon.start();
        daemon
    }

    /// As [`DaemonBuilder::start`], then waits until it streams from all of its servers.
    pub fn start_streaming(self) -> Daemon {
        let clusters = self.clusters.clone();
        let daemon = self.start();
        for cluster in clusters {
            cluster.wait_streaming("pgmoneta");
        }
        daemon
    }
}

/// A cluster, and a daemon that streams its WAL as the server `primary`: how most tests begin.
pub fn streaming_daemon(name: &str) -> (Scratch, Cluster, Daemon) {
    let scratch = Scratch::new(name);
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start_streaming();
    (scratch, cluster, daemon)
}
