//! `-d`: the shell learns how the start went, and the daemon lives on without it.

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

/// Whether a process that is no child of ours has ended: in a container nobody may take its exit status.
fn has_ended(pid: Pid) -> bool {
    let stat = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let stat = fs::read_to_string(stat).unwrap_or_default();
    test_kill_process(pid).is_err() || stat.contains(") Z ")
}

/// Ends a daemon that no value stands for, also when the test fails.
struct Ends(Pid);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}

#[test]
fn it_serves_when_the_shell_gets_its_exit_status() {
    let scratch = Scratch::new("detach");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    configure(&daemon);
    let start = || Output::of(daemon.command().arg("-d"));
    start().ok();
    let _ends = Ends(pid(&daemon));
    daemon.cli(&["ping"]).ok();
    // The locks are the child's: a second one is refused, and says whose they are.
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
    let again = Ends(pid(&daemon));
    kill_process(again.0, Signal::TERM).unwrap();
    wait_until("it has ended", 20, || has_ended(again.0));
}

fn pid_of(number: &str) -> Pid {
    Pid::from_raw(number.parse().unwrap()).unwrap()
}

#[test]
fn what_is_wrong_is_said_before_the_shell_goes_on() {
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
