//! Clusters that are recovered from a copy of a data directory, each on a new timeline.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Cluster, Scratch, user};

/// A data directory to recover from repeatedly, and the directories to restore WAL from.
pub struct Base {
    major: u32,
    data: PathBuf,
    pub wal: Vec<PathBuf>,
}

impl Base {
    /// Copies a cluster, which is stopped meanwhile.
    pub fn of(scratch: &Scratch, cluster: &mut Cluster) -> Base {
        cluster.stop();
        let data = scratch.join("base");
        copy_tree(cluster.data(), &data);
        cluster.start();
        Base {
            major: cluster.major(),
            data,
            wal: vec![cluster.data().join("pg_wal")],
        }
    }

    /// A copy in the directory `name`; not started.
    pub fn copy(&self, scratch: &Scratch, name: &str) -> Cluster {
        let data = scratch.join(name);
        copy_tree(&self.data, &data);
        Cluster::adopt(scratch, self.major, data)
    }

    /// Recovers a copy in the directory `name` with these recovery settings, and promotes it at its
    /// target.
    pub fn recover(&mut self, scratch: &Scratch, name: &str, settings: &str) -> Cluster {
        let copies = self.wal.iter().rev();
        let copies: Vec<_> = copies
            .map(|path| format!("cp {}/%f %p", path.display()))
            .collect();
        let mut cluster = self.copy(scratch, name);
        cluster.configure(&format!(
            "restore_command = '{}'\nrecovery_target_action = promote\n{settings}",
            copies.join(" || ")
        ));
        fs::write(cluster.data().join("recovery.signal"), "").unwrap();
        cluster.start();
        cluster.wait_primary(60);
        self.wal.push(cluster.data().join("pg_wal"));
        cluster
    }
}

/// Restarts the cluster as a standby and promotes it to the next timeline.
pub fn promote_again(cluster: &mut Cluster) {
    if cluster.is_running() {
        cluster.stop();
    }
    fs::write(cluster.data().join("standby.signal"), "").unwrap();
    cluster.start();
    cluster.promote();
}

/// Copies a directory as the user of the servers.
pub fn copy_tree(from: &Path, to: &Path) {
    let mut copy = user().command("cp");
    assert!(copy.arg("-a").arg(from).arg(to).status().unwrap().success());
}
