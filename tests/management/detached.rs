//! `-d`: the exit status is that of the start, and the daemon keeps running in the background.

use std::fs;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::{Cluster, Daemon, Output, Scratch, wait_until, write_owned};

fn configure(daemon: &Daemon) {
    let log = daemon.directory().join("daemon.log");
    let text = fs::read_to_string(daemon.configuration()).unwrap();
    let file = format!("log_type = file\nlog_path = {}", log.display());
    write_owned(
        &daemon.configuration(),
        text.replace("log_type = console", &file),
    );
}

fn pid(daemon: &Daemon) -> Pid {
    let text = fs::read_to_string(daemon.directory().join("run/pgmoneta.127.0.0.1.pid")).unwrap();
    Pid::from_raw(text.trim().parse().unwrap()).unwrap()
}

/// Whether a process that is not our child has ended or is a zombie: a container may have no init
/// that reaps.
fn has_ended(pid: Pid) -> bool {
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let stat = fs::read_to_string(stat).unwrap_or_default();
    test_kill_process(pid).is_err() || stat.contains(") Z ")
}

/// Kills a detached daemon at the end of the test, also when it fails.
struct KillOnDrop(Pid);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

#[test]
fn the_daemon_accepts_requests_when_the_parent_exits() {
    let scratch = Scratch::new("detach");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    configure(&daemon);
    let start = || Output::of(daemon.command().arg("-d"));
    start().ok();
    let _guard = KillOnDrop(pid(&daemon));
    daemon.cli(&["ping"]).ok();
    // The child holds the locks: a second daemon is refused, and the error names the process id.
    let refused = start().fails(1, "already");
    let number = pid(&daemon).as_raw_nonzero().to_string();
    assert!(refused.stderr.contains(&number), "{refused}");
    daemon.cli(&["shutdown"]).ok();
    wait_until("it has ended", 20, || has_ended(pid_of(&number)));
    assert_eq!(
        fs::read_dir(daemon.directory().join("run"))
            .unwrap()
            .count(),
        0
    );
    start().ok();
    let again = KillOnDrop(pid(&daemon));
    kill_process(again.0, Signal::TERM).unwrap();
    wait_until("it has ended", 20, || has_ended(again.0));
}

fn pid_of(number: &str) -> Pid {
    Pid::from_raw(number.parse().unwrap()).unwrap()
}

#[test]
fn errors_of_the_start_are_reported_by_the_parent() {
    let scratch = Scratch::new("detached");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    let start = || Output::of(daemon.command().arg("-d"));
    start().fails(1, "console");
    configure(&daemon);
    let text = fs::read_to_string(daemon.configuration()).unwrap();

    write_owned(
        &daemon.configuration(),
        text.replace("wal_slot", "wal_slott"),
    );
    start().fails(1, "wal_slot");
    write_owned(
        &daemon.configuration(),
        text.replace("daemon.log", "missing/daemon.log"),
    );
    start().fails(1, "daemon.log");
    write_owned(
        &daemon.configuration(),
        text.replace("user = ", "user = not_"),
    );
    start().fails(1, "pgmoneta_users.conf");
    write_owned(&daemon.configuration(), &text);

    let key = daemon.directory().join("home/.pgmoneta/master.key");
    let good = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    start().fails(1, "master.key");
    write_owned(&key, good);
    let lock = daemon.base_dir().join(".lock");
    fs::create_dir(&lock).unwrap();
    start().fails(1, ".lock");
    fs::remove_dir(&lock).unwrap();
    assert_eq!(
        fs::read_dir(daemon.directory().join("run"))
            .unwrap()
            .count(),
        0
    );
}
