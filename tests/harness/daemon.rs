//! A pgmoneta daemon for tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rustix::process::Signal;

use super::cluster::tail;
use super::daemon_builder::DaemonBuilder;
use super::process::Process;
use super::scratch::{Scratch, shared};
use super::user::user;
use super::wait::wait_until;

/// A daemon with its configuration, vault and repository in one directory. Dropping it kills the
/// daemon, and prints its log if the test fails.
pub struct Daemon {
    pub(super) directory: PathBuf,
    pub(super) environment: Vec<(String, String)>,
    pub(super) process: Option<Process>,
}

/// The output and the exit status of a program.
#[derive(Debug)]
pub struct Output {
    /// The exit status; -1 after a signal.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        let output = command
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Panics unless the exit status is 0.
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 0, "{self}");
        self
    }

    /// Panics unless the exit status is `status` and the output contains `text`, ignoring case.
    pub fn fails(self, status: i32, text: &str) -> Self {
        assert_eq!(self.status, status, "{self}");
        let said = format!("{}\n{}", self.stdout, self.stderr).to_lowercase();
        assert!(said.contains(&text.to_lowercase()), "no {text:?} in {self}");
        self
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit status {}\nstdout: {}\nstderr: {}",
            self.status, self.stdout, self.stderr
        )
    }
}

impl Daemon {
    /// A new daemon in `scratch`, to be configured and started.
    pub fn builder(scratch: &Scratch) -> DaemonBuilder<'_> {
        DaemonBuilder::new(scratch)
    }

    /// The directory with all files of the daemon.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Sets a variable in its environment, from the next start on.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The path of its `pgmoneta.conf`.
    pub fn configuration(&self) -> PathBuf {
        self.directory.join("pgmoneta.conf")
    }

    /// The setting `base_dir`.
    pub fn base_dir(&self) -> PathBuf {
        self.directory.join("repo")
    }

    /// The directory of its backups of a server.
    pub fn backups(&self, server: &str) -> PathBuf {
        self.base_dir().join(server).join("basebackup")
    }

    /// The directory of its WAL of a server.
    pub fn wal(&self, server: &str) -> PathBuf {
        self.base_dir().join(server).join("wal")
    }

    /// Its management socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("run/.s.pgmoneta")
    }

    /// The log of all starts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Waits until the log contains `text`.
    pub fn wait_log(&self, text: &str, seconds: u64) {
        wait_until(&format!("{text:?} in the log"), seconds, || {
            self.log().contains(text)
        });
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    /// One of the programs, as the unprivileged user, with the home directory that has the master
    /// key.
    pub fn program(&self, name: &str) -> Command {
        let mut command = user().command(program(name));
        command.env("HOME", self.directory.join("home"));
        command
    }

    /// `pgmoneta` with the configuration files of this daemon.
    pub fn command(&self) -> Command {
        let mut command = self.program("pgmoneta");
        command
            .arg("-D")
            .arg(&self.directory)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it in the foreground and waits until it responds to `ping`.
    pub fn start(&mut self) {
        if let Some(status) = self.try_start() {
            panic!("the daemon ended at its start with {status}");
        }
    }

    /// As [`Daemon::start`]; returns the exit status if it exits instead.
    pub fn try_start(&mut self) -> Option<i32> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .unwrap();
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut process = Process::new(child, "pgmoneta");
        let mut ended = None;
        wait_until("the daemon answers", 60, || {
            ended = process.ended();
            ended.is_some() || (self.socket().exists() && self.cli(&["ping"]).status == 0)
        });
        if ended.is_none() {
            self.process = Some(process);
        }
        ended.map(|status| status.code().unwrap_or(-1))
    }

    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.ended().is_none())
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.process.take().expect("the daemon runs").kill();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process
            .as_ref()
            .expect("the daemon runs")
            .signal(signal);
    }

    /// Sends SIGTERM; panics unless it exits with status 0 in time.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("the daemon runs");
        process.signal(Signal::TERM);
        let status = process.wait(30);
        assert!(status.success(), "the daemon stopped with {status}");
    }

    /// Panics if the daemon is not running.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the daemon runs")
    }

    /// `pgmoneta-cli` with these arguments, not started.
    pub fn cli_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program("pgmoneta-cli");
        command.arg("-c").arg(self.configuration()).args(arguments);
        command
    }

    /// Runs `pgmoneta-cli` with these arguments to its end.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let output = Output::of(&mut self.cli_command(arguments));
        assert!(
            !output.stderr.contains("is a bug"),
            "{arguments:?}: {output}"
        );
        output
    }

    /// Runs `pgmoneta-admin` with these arguments to its end.
    pub fn admin(&self, arguments: &[&str]) -> Output {
        Output::of(self.program("pgmoneta-admin").args(arguments))
    }

    /// Creates the repository. [`DaemonBuilder::create`] does it too: this is for tests that remove
    /// it.
    pub fn create_repository(&self) {
        let base = self.base_dir();
        self.admin(&["repository", "create", base.to_str().unwrap()])
            .ok();
    }

    /// Takes a backup, which must succeed; returns its label.
    pub fn backup(&self, server: &str) -> String {
        self.cli(&["backup", server]).ok();
        self.labels(server)
            .pop()
            .expect("a backup in the catalogue")
    }

    /// Restores into a new directory `into`, which must succeed; returns the data directory.
    pub fn restore(
        &self,
        server: &str,
        backup: &str,
        position: Option<&str>,
        into: &str,
    ) -> PathBuf {
        let directory = self.directory.join(into);
        self.restore_output(server, backup, position, into).ok();
        let mut entries: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("PG_VERSION").is_file())
            .collect();
        assert_eq!(entries.len(), 1, "{entries:?} in {}", directory.display());
        entries.pop().unwrap()
    }

    /// Restores into a new directory `into`; may fail.
    pub fn restore_output(
        &self,
        server: &str,
        backup: &str,
        position: Option<&str>,
        into: &str,
    ) -> Output {
        let directory = self.directory.join(into);
        fs::create_dir(&directory).unwrap();
        user().chown(&directory);
        let mut arguments = vec!["restore", server, backup];
        arguments.extend(position);
        arguments.push(directory.to_str().unwrap());
        self.cli(&arguments)
    }

    /// The labels of the backups of a server that the daemon lists.
    pub fn listed(&self, server: &str) -> Vec<String> {
        let list = self
            .cli(&["list-backup", server, "--format", "json"])
            .ok()
            .json();
        match &list["Response"]["Backups"] {
            serde_json::Value::Array(backups) => backups
                .iter()
                .map(|backup| backup["Backup"].as_str().unwrap().to_owned())
                .collect(),
            serde_json::Value::Object(none) if none.is_empty() => Vec::new(),
            other => panic!("{other} is no list of backups"),
        }
    }

    /// The hidden entries in the backup directory of a server: incomplete backups and temporary
    /// files.
    pub fn unfinished(&self, server: &str) -> Vec<String> {
        let entries = fs::read_dir(self.backups(server)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('.'))
            .collect()
    }

    /// The labels of the valid backups of a server that are on disk, oldest first.
    pub fn labels(&self, server: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.backups(server)) else {
            return Vec::new();
        };
        let mut labels: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        labels.sort();
        labels
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process = None;
        if std::thread::panicking() {
            let log = self.log();
            eprintln!("--- {}\n{}", self.log_path().display(), tail(&log, 200));
        }
    }
}

/// The path of a program; a copy if the unprivileged user cannot access the build directory.
pub fn program(name: &str) -> PathBuf {
    static COPYING: Mutex<()> = Mutex::new(());
    let built = Path::new(match name {
        "pgmoneta" => env!("CARGO_BIN_EXE_pgmoneta"),
        "pgmoneta-cli" => env!("CARGO_BIN_EXE_pgmoneta-cli"),
        "pgmoneta-admin" => env!("CARGO_BIN_EXE_pgmoneta-admin"),
        _ => panic!("no program {name}"),
    });
    if user().can_access(built) {
        return built.to_owned();
    }
    let _one_at_a_time = COPYING.lock().unwrap_or_else(|e| e.into_inner());
    let copy = shared().join(name);
    if !copy.exists() {
        let new = copy.with_extension("new");
        fs::copy(built, &new).unwrap();
        user().chown(&new);
        fs::rename(new, &copy).unwrap();
    }
    copy
}
