//! How a backup ends before its end.

use std::fs;

use super::by_hand::check_sums;
use crate::harness::{Cluster, Daemon, HeldSender, Process, Scratch, wait_until};

/// A backup, once it is being built.
fn begun(daemon: &Daemon) -> Process {
    let child = daemon.cli_command(&["backup", "primary"]).spawn().unwrap();
    let job = Process::new(child, "backup");
    wait_until("a backup is being built", 60, || {
        let new = building(daemon);
        let has_some = |path: &std::path::PathBuf| {
            fs::read_dir(path.join("data")).is_ok_and(|mut data| data.next().is_some())
        };
        new.iter().any(has_some)
    });
    job
}

fn building(daemon: &Daemon) -> Vec<std::path::PathBuf> {
    let names = daemon.unfinished("primary").into_iter();
    names
        .map(|name| daemon.backups("primary").join(name))
        .collect()
}

/// A daemon whose backups take ten minutes.
fn slow(scratch: &Scratch, cluster: &Cluster) -> Daemon {
    let daemon = Daemon::builder(scratch)
        .server_with("primary", cluster, "max_rate = 32k")
        .start();
    cluster.wait_streaming("pgmoneta");
    daemon
}

#[test]
fn a_stop_during_a_backup_leaves_nothing() {
    let scratch = Scratch::new("stop");
    let cluster = Cluster::builder(&scratch).start();
    let mut daemon = slow(&scratch, &cluster);
    let mut job = begun(&daemon);
    daemon.stop();
    assert!(!job.wait(30).success());
    assert!(building(&daemon).is_empty() && daemon.labels("primary").is_empty());
}

#[test]
fn what_a_crash_leaves_is_not_listed_and_swept_at_the_start() {
    let scratch = Scratch::new("sweep");
    let cluster = Cluster::builder(&scratch).start();
    let mut daemon = slow(&scratch, &cluster);
    let mut job = begun(&daemon);
    daemon.kill();
    assert!(!job.wait(30).success());
    let left = building(&daemon);
    assert_eq!(left.len(), 1);
    daemon.start();
    assert!(!left[0].exists());
    assert!(daemon.labels("primary").is_empty());
}

#[test]
fn a_client_that_goes_away_changes_nothing() {
    let scratch = Scratch::new("gone");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server_with("primary", &cluster, "wal_receiver_timeout = 600s")
        .start();
    cluster.wait_streaming("pgmoneta");
    let held = HeldSender::stop(&cluster, "pgmoneta");
    begun(&daemon).kill();
    assert!(daemon.labels("primary").is_empty());
    drop(held);
    wait_until("the backup is complete", 60, || {
        !daemon.labels("primary").is_empty()
    });
    let label = daemon.labels("primary").pop().unwrap();
    check_sums(&daemon.backups("primary").join(label));
}
