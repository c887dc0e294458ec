//! Standbys of a cluster.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::cluster::{Cluster, SUPERUSER};
use super::cluster_builder::run;
use super::scratch::{Scratch, write_owned};
use super::servers::{client, copy_tree};
use super::user::user;

impl Cluster {
    /// A running, streaming standby in the directory `name` of `scratch`; created by a copy of the
    /// data directory in backup mode, which works with every version.
    pub fn standby(&self, scratch: &Scratch, name: &str) -> Cluster {
        let data = scratch.join(name);
        self.copy_online(&data);
        let conninfo = format!(
            "primary_conninfo = 'host={} port={} user={SUPERUSER} application_name={name}'",
            self.sockets().display(),
            self.port()
        );
        write_owned(&data.join("standby.signal"), "");
        let mut standby = Cluster::adopt(scratch, self.major(), data);
        standby.configure(&conninfo);
        standby.start();
        self.wait_streaming(name);
        standby
    }

    /// A streaming standby, created by `pg_basebackup -R` in the directory `name` of `scratch`; by
    /// hand if there is no `pg_basebackup` of the version of the server.
    pub fn follower(&self, scratch: &Scratch, name: &str) -> Cluster {
        let data = scratch.join(name);
        let sockets = self.sockets().to_str().unwrap();
        let port = self.port().to_string();
        let program = client("pg_basebackup");
        if self.major() == program_major(&program) {
            let mut command = user().command(program);
            command
                .args(["-h", sockets, "-p", &port, "-U", SUPERUSER])
                .args(["-R", "-c", "fast", "-D"])
                .arg(&data);
            run(&mut command);
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
        let mut standby = Cluster::adopt(scratch, self.major(), data);
        standby.start();
        standby
    }

    /// Copies the data directory of the running server in backup mode.
    fn copy_online(&self, data: &Path) {
        let (start, stop) = if self.major() >= 15 {
            ("pg_backup_start('copy', true)", "pg_backup_stop(false)")
        } else {
            (
                "pg_start_backup('copy', true, false)",
                "pg_stop_backup(false, false)",
            )
        };
        // Backup mode ends with the connection.
        let mut connection = self.connect("postgres");
        connection
            .batch_execute(&format!("SELECT {start}"))
            .unwrap();
        copy_tree(self.data(), data);
        for name in ["postmaster.pid", "postmaster.opts"] {
            fs::remove_file(data.join(name)).unwrap();
        }
        let stopped = connection.query_one(&format!("SELECT labelfile FROM {stop}"), &[]);
        let label: String = stopped.unwrap().get(0);
        write_owned(&data.join("backup_label"), label);
    }
}

/// The major version of a client program.
fn program_major(program: &Path) -> u32 {
    let output = Command::new(program).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split(' ').nth(2).unwrap();
    version.split('.').next().unwrap().trim().parse().unwrap()
}
