//! A daemon with a repository of the C program.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Cluster, Daemon, Scratch, copy_tree, write_owned};

/// The archives, the master key of the encrypted one, and what the database held in each.
fn data() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/c-repositories");
    std::env::var_os("PGMONETA_TEST_C_REPOSITORIES").map_or(own, PathBuf::from)
}

/// The names of the archives: major version, compression, encryption.
pub fn names() -> Vec<String> {
    let entries = fs::read_dir(data()).unwrap();
    let names = entries.filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".tar.zst").map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// A daemon whose server cannot be reached, with a repository that the C program wrote.
pub struct CRepository {
    pub scratch: Scratch,
    pub daemon: Daemon,
    pub major: u32,
    /// The labels of the backups, oldest first.
    pub labels: Vec<String>,
}

impl CRepository {
    /// Unpacks the archive `name` and starts the daemon.
    pub fn new(name: &str) -> CRepository {
        let scratch = Scratch::new("of-c");
        let unpacked = unpack(name, &scratch);
        let mut daemon = Daemon::builder(&scratch).offline_server("primary").create();
        fs::remove_file(daemon.base_dir().join("repository.info")).unwrap();
        copy_tree(&unpacked, &daemon.base_dir().join("primary"));
        let key = fs::read(data().join("master.key")).unwrap();
        write_owned(&daemon.directory().join("home/.pgmoneta/master.key"), key);
        let users = fs::read(data().join("pgmoneta_users.conf")).unwrap();
        write_owned(&daemon.directory().join("pgmoneta_users.conf"), users);
        daemon.start();
        let entries = fs::read_dir(unpacked.join("backup")).unwrap();
        let labels = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut labels: Vec<String> = labels.collect();
        labels.sort();
        CRepository {
            major: name.split('-').next().unwrap().parse().unwrap(),
            scratch,
            daemon,
            labels,
        }
    }

    /// The directory of a backup.
    pub fn backup(&self, label: &str) -> PathBuf {
        let backups = self.daemon.base_dir().join("primary/backup");
        backups.join(label)
    }

    /// Restores a backup into a new directory and starts the server.
    pub fn restored(&self, label: &str, position: &str) -> Cluster {
        let into = format!(
            "r{}",
            fs::read_dir(self.daemon.directory()).unwrap().count()
        );
        let data = self.daemon.restore("primary", label, Some(position), &into);
        let mut restored = Cluster::adopt(&self.scratch, self.major, data);
        restored.start();
        restored.wait_primary(60);
        restored
    }

    /// A value of `backup.info`.
    pub fn info(&self, label: &str, key: &str) -> String {
        let text = fs::read_to_string(self.backup(label).join("backup.info")).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap().to_owned()
    }
}

/// The rows of both tables of the database.
pub fn rows(cluster: &Cluster) -> (i64, i64) {
    let count = |table: &str| cluster.query_value(&format!("SELECT count(*) FROM {table}"));
    (count("t0"), count("tf"))
}

/// Unpacks the directory of the server.
fn unpack(name: &str, scratch: &Scratch) -> PathBuf {
    let file = fs::File::open(data().join(format!("{name}.tar.zst"))).unwrap();
    let decoder = zstd::Decoder::new(file).unwrap();
    let into = scratch.directory("unpacked");
    tar::Archive::new(decoder).unpack(&into).unwrap();
    into.join("srv/pgmoneta/primary")
}
