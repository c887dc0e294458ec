//! How a backup ends before its end.

use std::fs;

use super::by_hand::check_sums;
use crate::harness::{Cluster, Daemon, Process, Scratch, wait_until};

/// A backup that takes its time, once it is being built.
fn begun(daemon: &Daemon) -> Process {
    let child = daemon.cli_command(&["backup", "primary"]).spawn().unwrap();
    let job = Process::new(child, "backup");
    wait_until("a backup is being built", 60, || {
        let new = building(daemon);
        new.iter().any(|path| path.join("data/base").is_dir())
    });
    job
}

fn building(daemon: &Daemon) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(daemon.backups("primary")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(".new-")
        })
        .collect()
}

fn slow(scratch: &Scratch, cluster: &Cluster) -> Daemon {
    let daemon = Daemon::builder(scratch)
        .server_with("primary", cluster, "max_rate = 2000000")
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
    let started = std::time::Instant::now();
    daemon.stop();
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    assert!(!job.wait(30).success());
    assert!(
        fs::read_dir(daemon.backups("primary"))
            .unwrap()
            .next()
            .is_none()
    );
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
        .server_with("primary", &cluster, "max_rate = 8000000")
        .start();
    cluster.wait_streaming("pgmoneta");
    begun(&daemon).kill();
    wait_until("the backup is complete", 60, || {
        !daemon.labels("primary").is_empty()
    });
    let label = daemon.labels("primary").pop().unwrap();
    check_sums(&daemon.backups("primary").join(label));
}
