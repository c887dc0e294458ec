//! Backups that are interrupted.

use std::fs;

use super::by_hand::check_sums;
use crate::harness::{Cluster, Daemon, Process, Scratch, StoppedWalSender, wait_until};

/// A running backup that has received files.
fn start_backup(daemon: &Daemon) -> Process {
    let child = daemon.cli_command(&["backup", "primary"]).spawn().unwrap();
    let job = Process::new(child, "backup");
    wait_until("a backup receives files", 60, || {
        let new = unfinished_paths(daemon);
        let has_some = |path: &std::path::PathBuf| {
            fs::read_dir(path.join("data")).is_ok_and(|mut data| data.next().is_some())
        };
        new.iter().any(has_some)
    });
    job
}

fn unfinished_paths(daemon: &Daemon) -> Vec<std::path::PathBuf> {
    let names = daemon.unfinished("primary").into_iter();
    names
        .map(|name| daemon.backups("primary").join(name))
        .collect()
}

/// A daemon whose backups take ten minutes (`max_rate`).
fn with_slow_backups(scratch: &Scratch, cluster: &Cluster) -> Daemon {
    Daemon::builder(scratch)
        .server_with("primary", cluster, "max_rate = 32k")
        .start_streaming()
}

#[test]
fn a_daemon_stop_during_a_backup_leaves_no_files() {
    let scratch = Scratch::new("stop");
    let cluster = Cluster::builder(&scratch).start();
    let mut daemon = with_slow_backups(&scratch, &cluster);
    let mut job = start_backup(&daemon);
    daemon.stop();
    assert!(!job.wait(30).success());
    assert!(unfinished_paths(&daemon).is_empty() && daemon.labels("primary").is_empty());
}

#[test]
fn an_unfinished_backup_of_a_crash_is_not_listed_and_is_removed_at_the_start() {
    let scratch = Scratch::new("sweep");
    let cluster = Cluster::builder(&scratch).start();
    let mut daemon = with_slow_backups(&scratch, &cluster);
    let mut job = start_backup(&daemon);
    daemon.kill();
    assert!(!job.wait(30).success());
    let left = unfinished_paths(&daemon);
    assert_eq!(left.len(), 1);
    daemon.start();
    assert!(!left[0].exists());
    assert!(daemon.labels("primary").is_empty());
}

#[test]
fn a_backup_continues_when_its_client_disconnects() {
    let scratch = Scratch::new("gone");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server_with("primary", &cluster, "wal_receiver_timeout = 600s")
        .start_streaming();
    let held = StoppedWalSender::stop(&cluster, "pgmoneta");
    start_backup(&daemon).kill();
    assert!(daemon.labels("primary").is_empty());
    drop(held);
    wait_until("the backup is complete", 60, || {
        !daemon.labels("primary").is_empty()
    });
    let label = daemon.labels("primary").pop().unwrap();
    check_sums(&daemon.backups("primary").join(label));
}
