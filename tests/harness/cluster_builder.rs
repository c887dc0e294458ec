//! Creates clusters.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::cluster::{Cluster, SUPERUSER};
use super::scratch::{Scratch, shared, write_owned};
use super::servers::{copy_tree, installed, server};
use super::user::user;

/// The role of the daemon: REPLICATION and no other privileges; password authentication over TCP.
pub const REPLICATION_USER: &str = "repl";
/// The password of [`REPLICATION_USER`].
pub const REPLICATION_PASSWORD: &str = "a secret, with spaces # and ; and ü";

/// The options of a new cluster.
pub struct Builder<'a> {
    scratch: &'a Scratch,
    name: String,
    major: u32,
    initdb: Vec<String>,
    lines: String,
    own_identity: bool,
    template_databases: bool,
}

/// Settings for speed. The server's data is not durable, unless a test sets `fsync` in
/// [`Builder::conf`]. Synchronous replication works as usual.
const QUICK: &str = "
shared_buffers = 16MB
max_connections = 40
fsync = off
max_wal_senders = 8
max_replication_slots = 8
wal_level = replica
hot_standby = on
password_encryption = 'scram-sha-256'
log_min_messages = info
log_line_prefix = '%m [%p] %a '
log_replication_commands = on
timezone = 'UTC'
";

/// Single-user mode executes a line at a time.
const DROP_DATABASES: &str = "UPDATE pg_database SET datistemplate = false
DROP DATABASE template0
DROP DATABASE template1
";

impl<'a> Builder<'a> {
    pub(super) fn new(scratch: &'a Scratch) -> Self {
        Self {
            scratch,
            name: "pg".to_owned(),
            major: server().0,
            initdb: vec!["--data-checksums".to_owned()],
            lines: QUICK.to_owned(),
            own_identity: false,
            template_databases: false,
        }
    }

    /// The name of its directory in the scratch directory. Default: `pg`.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// The major version, which must be installed. Default: the newest one with client programs.
    pub fn major(mut self, major: u32) -> Self {
        self.major = major;
        self
    }

    /// The encoding of the databases. Default: UTF8.
    pub fn encoding(mut self, name: &str) -> Self {
        self.initdb.push(format!("--encoding={name}"));
        self
    }

    /// Without data checksums.
    pub fn without_checksums(mut self) -> Self {
        self.initdb.retain(|option| option != "--data-checksums");
        if self.major >= 18 {
            self.initdb.push("--no-data-checksums".to_owned());
        }
        self
    }

    /// The size of a WAL segment in MiB. Default: 16.
    pub fn wal_segment_mib(mut self, size: u32) -> Self {
        self.initdb.push(format!("--wal-segsize={size}"));
        if size < 16 {
            self.lines.push_str("min_wal_size = 32MB\n");
        } else if size > 64 {
            self.lines
                .push_str("min_wal_size = 4GB\nmax_wal_size = 8GB\n");
        }
        self
    }

    /// With `template0` and `template1`, which databases can be created from. Without them, which
    /// is the default, the cluster has a third of the size.
    pub fn template_databases(mut self) -> Self {
        self.template_databases = true;
        self
    }

    /// Adds lines to postgresql.conf.
    pub fn conf(mut self, lines: &str) -> Self {
        self.lines.push_str(lines);
        self.lines.push('\n');
        self
    }

    /// With its own system identifier. Otherwise clusters of the same options are copies of one
    /// template.
    pub fn own_identity(mut self) -> Self {
        self.own_identity = true;
        self
    }

    /// Creates the cluster without starting it.
    pub fn create(self) -> Cluster {
        let bin =
            installed(self.major).unwrap_or_else(|| panic!("PostgreSQL {} is missing", self.major));
        let data = self.scratch.join(&self.name);
        if self.own_identity {
            initialize(&bin, &data, &self.initdb, self.template_databases);
        } else {
            let template = template(&bin, self.major, &self.initdb, self.template_databases);
            copy_tree(&template, &data);
        }
        let conf = data.join("postgresql.conf");
        let old = fs::read_to_string(&conf).unwrap();
        write_owned(&conf, format!("{old}\n{}", self.lines));
        Cluster::adopt(self.scratch, self.major, data)
    }

    /// Creates the cluster and starts its server.
    pub fn start(self) -> Cluster {
        let mut cluster = self.create();
        cluster.start();
        cluster
    }
}

/// A cluster to be copied instead of running initdb each time; one for each version and set of
/// options.
fn template(bin: &Path, major: u32, options: &[String], databases: bool) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = MAKING.lock().unwrap_or_else(|e| e.into_inner());
    let name = if databases { "template" } else { "small" };
    let path = shared().join(format!("{name}-{major}{}", options.join("")));
    if !path.exists() {
        let new = path.with_extension("new");
        initialize(bin, &new, options, databases);
        fs::rename(&new, &path).unwrap();
    }
    path
}

fn initialize(bin: &Path, data: &Path, options: &[String], template_databases: bool) {
    let mut initdb = user().command(bin.join("initdb"));
    initdb
        .args(["-U", SUPERUSER, "-E", "UTF8", "--locale=C", "-N"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
        .args(options)
        .arg("-D")
        .arg(data);
    run(&mut initdb);
    let statements = data.with_extension("sql");
    let role = format!(
        "CREATE ROLE {REPLICATION_USER} LOGIN REPLICATION PASSWORD '{REPLICATION_PASSWORD}'\n"
    );
    let drops = if template_databases {
        ""
    } else {
        DROP_DATABASES
    };
    write_owned(&statements, role + drops);
    let mut single = user().command(bin.join("postgres"));
    single
        .args(["--single", "-c", "password_encryption=scram-sha-256", "-D"])
        .arg(data)
        .arg("postgres")
        .stdin(fs::File::open(&statements).unwrap());
    run(&mut single);
    fs::remove_file(statements).unwrap();
}

/// Runs a program; panics if it fails. Returns its standard output.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
