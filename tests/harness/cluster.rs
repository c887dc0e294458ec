//! A PostgreSQL cluster for tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use postgres::Client;
use rustix::process::Signal;

use super::cluster_builder::Builder;
use super::port::Port;
use super::process::Process;
use super::scratch::{Scratch, write_owned};
use super::servers::installed;
use super::user::user;
use super::wait::wait_until;

/// The superuser of every cluster; `trust` on the Unix socket.
pub const SUPERUSER: &str = "postgres";

/// A cluster. Dropping it stops the server, and prints its log if the test fails.
pub struct Cluster {
    major: u32,
    bin: PathBuf,
    data: PathBuf,
    sockets: PathBuf,
    log: PathBuf,
    port: Arc<Port>,
    /// Command-line arguments of every start.
    arguments: Vec<String>,
    process: Option<Process>,
    /// A connection that statements share.
    pub(super) connection: Mutex<Option<Client>>,
}

impl Cluster {
    /// A new cluster in `scratch`, to be configured and started.
    pub fn builder(scratch: &Scratch) -> Builder<'_> {
        Builder::new(scratch)
    }

    /// A cluster with an existing data directory, such as a restored one. Not started.
    pub fn adopt(scratch: &Scratch, major: u32, data: impl Into<PathBuf>) -> Self {
        let data = data.into();
        let name = data.file_name().unwrap().to_str().unwrap().to_owned();
        let bin = installed(major).unwrap_or_else(|| panic!("PostgreSQL {major} is missing"));
        let port = Arc::new(Port::reserve());
        Self {
            major,
            bin,
            sockets: scratch.path().to_owned(),
            log: scratch.join(format!("{name}-{}.log", port.number())),
            port,
            arguments: Vec::new(),
            process: None,
            connection: Mutex::new(None),
            data,
        }
    }

    /// Uses the port and the socket of another server, which does not run.
    #[must_use]
    pub fn in_place_of(mut self, other: &Cluster) -> Self {
        self.port = other.port.clone();
        self
    }

    /// Adds a setting on the command line, which overrides the configuration files.
    #[must_use]
    pub fn with(mut self, setting: &str, value: &str) -> Self {
        self.arguments.push("-c".to_owned());
        self.arguments.push(format!("{setting}={value}"));
        self
    }

    pub fn major(&self) -> u32 {
        self.major
    }

    /// The directory of the server programs; client programs may be missing.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The TCP port on 127.0.0.1, also part of the socket's name.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The directory of the Unix socket.
    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// The server log since the cluster was created.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Starts the server and waits until it accepts connections.
    pub fn start(&mut self) {
        wait_until("the server starts", 60, || {
            let started = self.try_start();
            // Right after a kill -9 the old server's processes may still hold its shared memory.
            let in_use = started || self.log().contains("shared memory block");
            assert!(in_use, "the server does not start");
            started
        });
    }

    /// Starts the server; `false` if it exits instead of accepting connections.
    pub fn try_start(&mut self) -> bool {
        assert!(!self.is_running(), "the server runs already");
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.unwrap();
        let child = user()
            .command(self.bin.join("postgres"))
            .arg("-D")
            .arg(&self.data)
            .args(["-p", &self.port().to_string(), "-k"])
            .arg(&self.sockets)
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let process = self
            .process
            .insert(Process::new(child, format!("postgres {}", self.major)));
        let pidfile = self.data.join("postmaster.pid");
        let mut ended = false;
        wait_until("the server lets clients in", 120, || {
            ended = process.ended().is_some();
            ended || is_ready(&pidfile, process.pid().as_raw_nonzero().get())
        });
        if ended {
            self.process = None;
        }
        !ended
    }

    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.ended().is_none())
    }

    /// Fast shutdown: clients are disconnected, WAL receivers get all WAL, a shutdown checkpoint is
    /// written.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.signal(Signal::INT);
        process.wait(120);
    }

    /// Waits until the server exits by itself (`recovery_target_action = shutdown`).
    pub fn wait_ended(&mut self, seconds: u64) {
        self.process.take().expect("the server runs").wait(seconds);
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// kill -9 of the postmaster and of its children.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        let postmaster = process.pid().as_raw_nonzero().to_string();
        process.signal(Signal::STOP); // or it would start new ones
        let _ = Command::new("pkill")
            .args(["-KILL", "-P", &postmaster])
            .status();
        process.kill();
    }

    /// kill -9 of the postmaster only; its children notice it and exit.
    pub fn kill_postmaster(&mut self) {
        self.process.take().expect("the server runs").kill();
    }

    /// Reloads the configuration (SIGHUP).
    pub fn reload(&self) {
        self.process
            .as_ref()
            .expect("the server runs")
            .signal(Signal::HUP);
    }

    /// Promotes a standby and waits until it is a primary.
    pub fn promote(&self) {
        self.execute("SELECT pg_promote(true, 600)");
        self.wait_true("SELECT NOT pg_is_in_recovery()", 60);
    }

    /// Adds lines to postgresql.conf.
    pub fn configure(&self, lines: &str) {
        let path = self.data.join("postgresql.conf");
        let old = fs::read_to_string(&path).unwrap();
        write_owned(&path, format!("{old}\n{lines}\n"));
    }

    /// Replaces pg_hba.conf.
    pub fn hba(&self, lines: &str) {
        write_owned(&self.data.join("pg_hba.conf"), lines);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::QUIT); // immediate shutdown
            process.wait_at_most(30);
        }
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), tail(&self.log(), 60));
        }
    }
}

/// Whether the postmaster `pid` accepts connections: line 8 of the pid file
/// (src/backend/utils/init/miscinit.c).
fn is_ready(pidfile: &Path, pid: i32) -> bool {
    let Ok(text) = fs::read_to_string(pidfile) else {
        return false;
    };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.first() == Some(&pid.to_string().as_str())
        && matches!(lines.get(7), Some(&"ready" | &"standby"))
}

/// The last `lines` lines.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
