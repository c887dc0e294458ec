//! Only one restore writes to a directory, and files of other programs in it are not changed.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::harness::{Cluster, Daemon, Faults, Scratch, user, wait_until, write_owned};

/// A backup, and a daemon that can be paused while it syncs a restore into `r`.
struct PausedRestore {
    daemon: Daemon,
    faults: Faults,
    into: PathBuf,
    target: PathBuf,
    cluster: Cluster,
    scratch: Scratch,
}

impl PausedRestore {
    fn new() -> PausedRestore {
        let scratch = Scratch::new("targets");
        let cluster = Cluster::builder(&scratch).start();
        let into = scratch.directory("r");
        let faults = Faults::new(&scratch, &into);
        let builder = Daemon::builder(&scratch).server("primary", &cluster);
        let daemon = faults.daemon(builder).start_streaming();
        cluster.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
        let label = daemon.backup("primary");
        PausedRestore {
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

    fn start(&self) -> Child {
        let into = self.into.to_str().unwrap();
        let mut command = self
            .daemon
            .cli_command(&["restore", "primary", "newest", into]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Starts a restore and pauses it when everything is written.
    fn start_and_pause(&self) -> Child {
        self.faults.on("hang");
        let child = self.start();
        wait_until("the restore syncs", 120, || self.faults.happened("hang"));
        child
    }
}

/// All paths below a directory.
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

/// A second daemon with a copy of the repository.
fn second_daemon(test: &PausedRestore) -> Daemon {
    let second = Daemon::builder(&test.scratch)
        .name("second")
        .server("primary", &test.cluster);
    let mut second = second.create();
    let copied = user()
        .command("cp")
        .args(["-a", "-T"])
        .arg(test.daemon.base_dir())
        .arg(second.base_dir())
        .status();
    assert!(copied.unwrap().success());
    second.start();
    second
}

#[test]
fn of_two_restores_to_one_directory_one_is_refused_and_the_other_completes() {
    let test = PausedRestore::new();
    let second = second_daemon(&test);
    let first = test.start_and_pause();
    let before = tree(&test.target);
    for daemon in [&test.daemon, &second] {
        test.restore(daemon)
            .fails(1, "another restore writes to")
            .fails(1, "wait until it ends");
        assert_eq!(tree(&test.target), before, "the first restore was changed");
    }
    test.faults.off("hang");
    assert!(first.wait_with_output().unwrap().status.success());
    let mut restored = Cluster::adopt(&test.scratch, test.cluster.major(), &test.target);
    restored.start();
    restored.wait_primary(60);
    assert_eq!(restored.count("t"), 1);
    restored.stop();
    test.restore(&second).fails(1, "not an empty directory");
    // Two restores that start at the same time.
    for _ in 0..3 {
        fs::remove_dir_all(&test.target).unwrap();
        let two = [test.start(), test.start()];
        let outputs = two.map(|child| child.wait_with_output().unwrap());
        let done = outputs.iter().filter(|output| output.status.success());
        assert_eq!(done.count(), 1, "{outputs:?}");
        assert!(test.target.join("global/pg_control").exists());
        assert!(test.target.join("PG_VERSION").exists());
    }
}

#[test]
fn a_failed_restore_keeps_files_of_others_and_a_killed_one_is_reported() {
    let mut test = PausedRestore::new();
    // The directory exists and is empty.
    fs::create_dir(&test.target).unwrap();
    user().chown(&test.target);
    let first = test.start_and_pause();
    let foreign = [test.target.join("mine"), test.target.join("base/mine")];
    for path in &foreign {
        write_owned(path, "mine");
    }
    test.faults.on("sync");
    test.faults.off("hang");
    let output = first.wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("did not write"), "{said}");
    test.faults.off("sync");
    let expected = BTreeSet::from([
        foreign[0].clone(),
        test.target.join("base"),
        foreign[1].clone(),
    ]);
    assert_eq!(tree(&test.target), expected);
    test.restore(&test.daemon)
        .fails(1, "not an empty directory");
    fs::remove_dir_all(&test.target).unwrap();

    let first = test.start_and_pause();
    test.daemon.kill();
    test.faults.off("hang");
    assert!(!first.wait_with_output().unwrap().status.success());
    test.daemon.start();
    test.restore(&test.daemon)
        .fails(1, "interrupted restore")
        .fails(1, "restore again");
    fs::remove_dir_all(&test.target).unwrap();
    test.restore(&test.daemon).ok();
}
