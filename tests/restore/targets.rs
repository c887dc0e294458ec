//! A directory that is restored to belongs to one restore, and what others put there is not touched.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::harness::{Cluster, Daemon, Faults, Scratch, user, wait_until, write_owned};

/// A backup of a cluster, and a daemon that can be held while it syncs what it restored into `r`.
struct Held {
    daemon: Daemon,
    faults: Faults,
    into: PathBuf,
    target: PathBuf,
    cluster: Cluster,
    scratch: Scratch,
}

impl Held {
    fn new() -> Held {
        let scratch = Scratch::new("targets");
        let cluster = Cluster::builder(&scratch).start();
        let into = scratch.directory("r");
        let faults = Faults::new(&scratch, &into);
        let builder = Daemon::builder(&scratch).server("primary", &cluster);
        let daemon = faults.daemon(builder).start();
        cluster.wait_streaming("pgmoneta");
        cluster.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
        let label = daemon.backup("primary");
        Held {
            target: into.join(format!("primary-{label}")),
            daemon,
            faults,
            into,
            cluster,
            scratch,
        }
    }

    fn restore(&self, daemon: &Daemon) -> crate::harness::Output {
        daemon.cli(&["restore", "primary", "newest", self.into.to_str().unwrap()])
    }

    fn begin(&self) -> Child {
        let into = self.into.to_str().unwrap();
        let mut command = self
            .daemon
            .cli_command(&["restore", "primary", "newest", into]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Begins a restore, which is held when everything is written and before it has ended.
    fn begin_and_hold(&self) -> Child {
        self.faults.on("hang");
        let child = self.begin();
        wait_until("the restore syncs", 120, || self.faults.happened("hang"));
        child
    }
}

/// Everything below a directory.
fn tree(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.insert(path);
    }
    found
}

/// A copy of the daemon with a repository of its own.
fn second_daemon(held: &Held) -> Daemon {
    let second = Daemon::builder(&held.scratch)
        .name("second")
        .server("primary", &held.cluster);
    let mut second = second.create();
    let copied = user()
        .command("cp")
        .args(["-a", "-T"])
        .arg(held.daemon.base_dir())
        .arg(second.base_dir())
        .status();
    assert!(copied.unwrap().success());
    second.start();
    second
}

#[test]
fn one_of_two_restores_to_one_directory_is_refused_and_the_other_is_whole() {
    let held = Held::new();
    let second = second_daemon(&held);
    let first = held.begin_and_hold();
    let before = tree(&held.target);
    for daemon in [&held.daemon, &second] {
        held.restore(daemon)
            .fails(1, "another restore writes to")
            .fails(1, "wait for its end");
        assert_eq!(tree(&held.target), before, "the first one lost something");
    }
    held.faults.off("hang");
    assert!(first.wait_with_output().unwrap().status.success());
    let mut restored = Cluster::adopt(&held.scratch, held.cluster.major(), &held.target);
    restored.start();
    restored.wait_primary(60);
    assert_eq!(restored.sql("SELECT count(*) FROM t"), "1");
    restored.stop();
    held.restore(&second).fails(1, "not an empty directory");
    // Whoever comes first.
    for _ in 0..3 {
        fs::remove_dir_all(&held.target).unwrap();
        let two = [held.begin(), held.begin()];
        let outputs = two.map(|child| child.wait_with_output().unwrap());
        let done = outputs.iter().filter(|output| output.status.success());
        assert_eq!(done.count(), 1, "{outputs:?}");
        assert!(held.target.join("global/pg_control").exists());
        assert!(held.target.join("PG_VERSION").exists());
    }
}

#[test]
fn what_others_wrote_survives_a_restore_that_fails_and_one_that_was_killed_is_marked() {
    let mut held = Held::new();
    // Found, and empty.
    fs::create_dir(&held.target).unwrap();
    user().own(&held.target);
    let first = held.begin_and_hold();
    let foreign = [held.target.join("mine"), held.target.join("base/mine")];
    for path in &foreign {
        write_owned(path, "mine");
    }
    held.faults.on("sync");
    held.faults.off("hang");
    let output = first.wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("did not write"), "{said}");
    held.faults.off("sync");
    let expected = BTreeSet::from([
        foreign[0].clone(),
        held.target.join("base"),
        foreign[1].clone(),
    ]);
    assert_eq!(tree(&held.target), expected);
    held.restore(&held.daemon)
        .fails(1, "not an empty directory");
    fs::remove_dir_all(&held.target).unwrap();

    let first = held.begin_and_hold();
    held.daemon.kill();
    held.faults.off("hang");
    assert!(!first.wait_with_output().unwrap().status.success());
    held.daemon.start();
    held.restore(&held.daemon)
        .fails(1, "did not come to its end")
        .fails(1, "restore again");
    fs::remove_dir_all(&held.target).unwrap();
    held.restore(&held.daemon).ok();
}
