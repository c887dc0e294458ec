//! Files that the daemon did not create are not changed; removed sockets, pid files and logs are
//! created again.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::process::Signal;

use crate::harness::{Cluster, Daemon, Output, Scratch, user, wait_until, write_owned};

/// A daemon that logs to a file, with log and pid file in directories of their own.
fn daemon(scratch: &Scratch) -> Daemon {
    let cluster = Cluster::builder(scratch).create();
    let (pid, log) = (scratch.directory("pid"), scratch.directory("log"));
    let daemon = Daemon::builder(scratch)
        .global(&format!(
            "pidfile = {}/pidfile\nlog_path = {}/log",
            pid.display(),
            log.display()
        ))
        .server("primary", &cluster)
        .create();
    let text = fs::read_to_string(daemon.configuration()).unwrap();
    write_owned(
        &daemon.configuration(),
        text.replace("log_type = console", "log_type = file"),
    );
    daemon
}

#[test]
fn files_that_the_daemon_did_not_create_are_not_changed() {
    let scratch = Scratch::new("notours");
    let daemon = daemon(&scratch);
    let key = daemon.directory().join("home/.pgmoneta/master.key");
    let secret = fs::read(&key).unwrap();
    let refused = |path: &Path, text: &str| {
        Output::of(daemon.command().arg("--check-config")).fails(1, text);
        let output = Output::of(&mut daemon.command()).fails(1, text);
        let mode = fs::metadata(&key).unwrap().mode() & 0o777;
        let kept = fs::read(&key).unwrap() == secret && mode == 0o600;
        assert!(kept, "{}, mode {mode:o}: {output}", path.display());
        assert!(
            path.symlink_metadata().is_ok(),
            "{} was removed",
            path.display()
        );
        fs::remove_file(path).unwrap();
    };
    let lock = daemon.directory().join("run/.s.pgmoneta.lock");
    let paths = [
        scratch.join("pid/pidfile"),
        lock,
        daemon.base_dir().join(".lock"),
    ];
    for path in &paths {
        // The lock file of base_dir is never removed.
        let _ = fs::remove_file(path);
        fs::hard_link(&key, path).unwrap();
        refused(path, "2 names");
        symlink(&key, path).unwrap();
        refused(path, &path.display().to_string());
        // A mistyped path: an existing file of the user.
        write_owned(path, &secret);
        refused(path, "does not contain a process ID");
    }
    // The log must have one name and belong to the user of the daemon.
    let log = scratch.join("log/log");
    fs::remove_file(&log).unwrap();
    fs::hard_link(&key, &log).unwrap();
    refused(&log, "2 names");
    let foreign = scratch.join("foreign");
    fs::write(&foreign, "theirs").unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o666)).unwrap();
    if rustix::process::getuid().is_root() {
        rustix::fs::chown(&foreign, Some(rustix::fs::Uid::from_raw(54321)), None).unwrap();
        fs::rename(&foreign, &log).unwrap();
        refused(&log, "belongs to user 54321");
    }
    // Opening a FIFO waits for a reader.
    rustix::fs::mkfifoat(rustix::fs::CWD, &log, 0o600.into()).unwrap();
    user().chown(&log);
    refused(&log, "a FIFO that no process reads");
    let run = daemon.directory().join("run");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o500)).unwrap();
    Output::of(daemon.command().arg("--check-config")).fails(1, ".s.pgmoneta.lock");
    Output::of(&mut daemon.command()).fails(1, ".s.pgmoneta.lock");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).unwrap();
    write_owned(&daemon.socket(), "something else");
    refused(&daemon.socket(), "not a socket of this user");
    Output::of(daemon.command().arg("--check-config")).ok();
}

#[cfg(target_os = "linux")]
#[test]
fn the_daemon_dumps_no_core() {
    let scratch = Scratch::new("core");
    let mut daemon = daemon(&scratch);
    daemon.start();
    let process = format!("/proc/{}", daemon.process().pid().as_raw_nonzero());
    let limits = fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<_> = core.unwrap().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"]);
    // The files of a process that is not dumpable belong to root (proc(5)).
    let uid = fs::metadata(format!("{process}/limits")).unwrap().uid();
    assert_eq!(uid, 0);
}

#[test]
fn a_removed_socket_and_pid_file_are_created_again() {
    let scratch = Scratch::new("cleaner");
    let mut daemon = daemon(&scratch);
    daemon.start();
    let (run, pidfile) = (daemon.directory().join("run"), scratch.join("pid/pidfile"));
    for round in 0..2 {
        if round == 0 {
            fs::remove_dir_all(&run).unwrap();
            fs::remove_file(&pidfile).unwrap();
        } else {
            fs::remove_file(daemon.socket()).unwrap();
            daemon.signal(Signal::HUP);
        }
        wait_until("the socket is created again", 60, || {
            daemon.socket().exists() && daemon.cli(&["ping"]).status == 0
        });
        let mode = fs::symlink_metadata(daemon.socket()).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let pid = daemon.process().pid().as_raw_nonzero().to_string();
        wait_until("the pid file is created again", 60, || {
            fs::read_to_string(&pidfile).is_ok_and(|text| text.trim() == pid)
        });
        Output::of(&mut daemon.command()).fails(1, "already");
    }
    // A file that was created at the path of the socket meanwhile is not removed.
    fs::remove_file(daemon.socket()).unwrap();
    write_owned(&daemon.socket(), "something else");
    let log = scratch.join("log/log");
    wait_until("the log has the reason", 60, || {
        fs::read_to_string(&log)
            .unwrap()
            .contains("not a socket of this user")
    });
    fs::remove_file(daemon.socket()).unwrap();
    wait_until("the socket is created again", 60, || {
        daemon.socket().exists() && daemon.cli(&["ping"]).status == 0
    });
    daemon.stop();
    assert!(!daemon.socket().exists() && !pidfile.exists());
}

#[test]
fn reopening_the_log_is_logged_only_if_it_succeeded() {
    let scratch = Scratch::new("reopen");
    let mut daemon = daemon(&scratch);
    daemon.start();
    let (directory, away) = (scratch.join("log"), scratch.join("away"));
    fs::rename(&directory, &away).unwrap();
    let log = |directory: &Path| fs::read_to_string(directory.join("log")).unwrap_or_default();
    daemon.signal(Signal::HUP);
    wait_until("the failure is in the old log", 60, || {
        log(&away).contains("the log was not reopened")
    });
    daemon.cli(&["ping"]).ok();
    fs::create_dir(&directory).unwrap();
    user().chown(&directory);
    daemon.signal(Signal::HUP);
    wait_until("the new log is written", 60, || {
        log(&directory).contains("SIGHUP: the log was reopened")
    });
    assert!(!log(&away).contains("the log was reopened"));
}
