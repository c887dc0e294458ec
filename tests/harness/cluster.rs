//! A PostgreSQL cluster for tests.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::Signal;

use super::cluster_builder::Builder;
use super::port::Port;
use super::process::Process;
use super::scratch::{Scratch, write_owned};
use super::servers::{client, copy_tree, installed};
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
        self.sql("SELECT pg_promote(true, 600)");
        wait_until("the standby is promoted", 60, || {
            self.sql("SELECT pg_is_in_recovery()") == "f"
        });
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

    /// psql as the superuser with `ON_ERROR_STOP`.
    pub fn psql(&self, database: &str) -> Command {
        let mut command = user().command(client("psql"));
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h"])
            .arg(&self.sockets)
            .args(["-p", &self.port().to_string()])
            .args(["-U", SUPERUSER, "-d", database]);
        command
    }

    /// Runs SQL in the database `postgres`; returns the unaligned rows without header, or the
    /// error.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        self.try_sql_in("postgres", sql)
    }

    /// As [`Cluster::try_sql`], in another database.
    pub fn try_sql_in(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = self.psql(database).args(["-c", sql]).output().unwrap();
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            Ok(text.trim_end_matches('\n').to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// As [`Cluster::try_sql`]; panics on an error.
    pub fn sql(&self, sql: &str) -> String {
        self.sql_in("postgres", sql)
    }

    /// As [`Cluster::try_sql_in`]; panics on an error.
    pub fn sql_in(&self, database: &str, sql: &str) -> String {
        self.try_sql_in(database, sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Waits until a query returns `expected`.
    pub fn wait_sql(&self, sql: &str, expected: &str, seconds: u64) {
        wait_until(&format!("{sql} = {expected}"), seconds, || {
            self.try_sql(sql).is_ok_and(|answer| answer == expected)
        });
    }

    /// Waits until recovery has ended and the server accepts writes; panics if the server exits
    /// instead.
    pub fn wait_primary(&mut self, seconds: u64) {
        wait_until("the end of recovery", seconds, || {
            assert!(self.is_running(), "the server has ended");
            self.try_sql("SELECT pg_is_in_recovery()") == Ok("f".to_owned())
        });
    }

    /// The contents of all databases: for each table a line with its number of rows and their
    /// digest.
    pub fn fingerprint(&self) -> String {
        let mut lines = String::new();
        let databases = self.sql("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1");
        for database in databases.lines() {
            let tables = self.sql_in(
                database,
                "SELECT oid::regclass FROM pg_class WHERE relkind IN ('r', 'm') AND relpersistence = 'p' \
                 AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
            );
            for table in tables.lines() {
                let content = self.sql_in(
                    database,
                    &format!(
                        "SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {table} t"
                    ),
                );
                lines.push_str(&format!("{database} {table} {content}\n"));
            }
        }
        lines
    }

    /// Waits until no other client backend is active.
    pub fn wait_quiet(&self) {
        let sql = "SELECT count(*) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        self.wait_sql(sql, "0", 60);
    }

    /// Waits until the receiver of a slot has acknowledged the WAL that is written by now.
    pub fn wait_received(&self, slot: &str) {
        let written = self.sql("SELECT pg_current_wal_flush_lsn()");
        let sql = format!(
            "SELECT restart_lsn >= '{written}' FROM pg_replication_slots WHERE slot_name = '{slot}'"
        );
        self.wait_sql(&sql, "t", 60);
    }

    /// Waits until a receiver of that application name streams.
    pub fn wait_streaming(&self, application_name: &str) {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_replication \
             WHERE application_name = '{application_name}' AND state = 'streaming'"
        );
        self.wait_sql(&sql, "1", 60);
    }

    /// A running, streaming standby in the directory `name` of `scratch`; created by a copy of the
    /// data directory in backup mode, which works with every version.
    pub fn standby(&self, scratch: &Scratch, name: &str) -> Cluster {
        let data = scratch.join(name);
        self.copy_online(&data);
        let conninfo = format!(
            "primary_conninfo = 'host={} port={} user={SUPERUSER} application_name={name}'",
            self.sockets.display(),
            self.port()
        );
        write_owned(&data.join("standby.signal"), "");
        let mut standby = Cluster::adopt(scratch, self.major, data);
        standby.configure(&conninfo);
        standby.start();
        self.wait_streaming(name);
        standby
    }

    /// A streaming standby, created by `pg_basebackup -R` in the directory `name` of `scratch`; by
    /// hand if there is no `pg_basebackup` of the version of the server.
    pub fn follower(&self, scratch: &Scratch, name: &str) -> Cluster {
        let data = scratch.join(name);
        let sockets = self.sockets.to_str().unwrap();
        let port = self.port().to_string();
        let program = client("pg_basebackup");
        if self.major == program_major(&program) {
            let mut command = user().command(program);
            command
                .args(["-h", sockets, "-p", &port, "-U", SUPERUSER])
                .args(["-R", "-c", "fast", "-D"])
                .arg(&data);
            super::cluster_builder::run(&mut command);
        } else {
            self.copy_online(&data);
            // Of pg_wal only the directories are sent.
            for entry in fs::read_dir(data.join("pg_wal")).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    fs::remove_file(path).unwrap();
                }
            }
            write_owned(&data.join("standby.signal"), "");
            let auto_conf = data.join("postgresql.auto.conf");
            let old = fs::read_to_string(&auto_conf).unwrap();
            let line =
                format!("primary_conninfo = 'host={sockets} port={port} user={SUPERUSER}'\n");
            write_owned(&auto_conf, old + &line);
        }
        let mut standby = Cluster::adopt(scratch, self.major, data);
        standby.start();
        standby
    }

    /// Copies the data directory of the running server in backup mode.
    fn copy_online(&self, data: &Path) {
        use std::io::{BufRead, BufReader, Write};
        let (start, stop) = if self.major >= 15 {
            ("pg_backup_start('copy', true)", "pg_backup_stop(false)")
        } else {
            (
                "pg_start_backup('copy', true, false)",
                "pg_stop_backup(false, false)",
            )
        };
        let mut child = self
            .psql("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        writeln!(input, "SELECT {start};").unwrap();
        output.read_line(&mut String::new()).unwrap();
        copy_tree(&self.data, data);
        for name in ["postmaster.pid", "postmaster.opts"] {
            fs::remove_file(data.join(name)).unwrap();
        }
        writeln!(
            input,
            "SELECT encode(convert_to(labelfile, 'UTF8'), 'hex') FROM {stop};"
        )
        .unwrap();
        drop(input);
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(child.wait().unwrap().success());
        write_owned(&data.join("backup_label"), unhex(line.trim()));
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

/// The major version of a client program.
fn program_major(program: &Path) -> u32 {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split(' ').nth(2).unwrap();
    version.split('.').next().unwrap().trim().parse().unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
