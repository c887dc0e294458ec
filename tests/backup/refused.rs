//! Backups that fail or are refused, and leave no files.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use super::by_hand::check_sums;
use crate::harness::{
    Cluster, Daemon, Process, Scratch, StoppedWalSender, streaming_daemon, wait_until,
};

/// The names of all backups, unfinished ones included.
fn names(daemon: &Daemon) -> Vec<String> {
    [daemon.labels("primary"), daemon.unfinished("primary")].concat()
}

#[test]
fn a_corrupt_page_fails_the_backup_with_the_path() {
    let scratch = Scratch::new("corrupt");
    let mut cluster = Cluster::builder(&scratch).start();
    cluster.execute("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 100000) g");
    let path = cluster.relation_path("t");
    cluster.stop();
    let mut file = fs::File::options()
        .write(true)
        .open(cluster.data().join(&path))
        .unwrap();
    file.seek(SeekFrom::Start(3 * 8192 + 4000)).unwrap();
    file.write_all(b"not what was here").unwrap();
    cluster.start();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start_streaming();
    daemon.cli(&["backup", "primary"]).fails(1, &path);
    assert!(names(&daemon).is_empty());
}

#[test]
fn a_second_backup_is_refused_and_the_first_goes_on() {
    let scratch = Scratch::new("second");
    let cluster = Cluster::builder(&scratch).start();
    let daemon = Daemon::builder(&scratch)
        .server_with("primary", &cluster, "wal_receiver_timeout = 600s")
        .start_streaming();
    let held = StoppedWalSender::stop(&cluster, "pgmoneta");
    let child = daemon.cli_command(&["backup", "primary"]).spawn().unwrap();
    let mut first = Process::new(child, "backup");
    wait_until("the first backup is running", 60, || {
        names(&daemon).iter().any(|name| name.starts_with(".new-"))
    });
    for _ in 0..3 {
        daemon.cli(&["backup", "primary"]).fails(1, "running");
    }
    let refused = daemon.cli(&["--format", "json", "backup", "primary"]);
    assert_eq!(refused.json()["Outcome"]["Error"], 102, "{refused}");
    drop(held);
    assert!(first.wait(120).success());
    let [label] = &names(&daemon)[..] else {
        panic!("{:?}", names(&daemon))
    };
    check_sums(&daemon.backups("primary").join(label));
}

#[test]
fn a_backup_without_wal_streaming_is_refused() {
    let (_scratch, mut cluster, daemon) = streaming_daemon("nowal");
    cluster.stop();
    daemon.wait_log("connect", 60);
    wait_until("the backup is refused", 60, || {
        daemon.cli(&["backup", "primary"]).status == 1
    });
    assert!(names(&daemon).is_empty());
}
