//! Files that are not what the daemon would have made are left alone, and what somebody removes is made anew.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::process::Signal;

use crate::harness::{Cluster, Daemon, Output, Scratch, user, wait_until, write_owned};

/// A daemon with a file as its log, and a pid file in a directory of its own.
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
fn files_that_are_not_the_daemons_are_left_alone() {
    let scratch = Scratch::new("notours");
    let daemon = daemon(&scratch);
    let key = daemon.directory().join("home/.pgmoneta/master.key");
    let secret = fs::read(&key).unwrap();
    let refused = |path: &Path, text: &str| {
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
    let places = [
        scratch.join("pid/pidfile"),
        lock,
        daemon.base_dir().join(".lock"),
    ];
    for path in &places {
        // That of base_dir stays from one start to the next.
        let _ = fs::remove_file(path);
        fs::hard_link(&key, path).unwrap();
        refused(path, "2 names");
        symlink(&key, path).unwrap();
        refused(path, &path.display().to_string());
        // A path that was mistyped.
        write_owned(path, &secret);
        refused(path, "other content");
    }
    // The log: a link of our own is fine, to a file that has no other name.
    let log = scratch.join("log/log");
    fs::remove_file(&log).unwrap();
    fs::hard_link(&key, &log).unwrap();
    refused(&log, "2 names");
    let stranger = scratch.join("stranger");
    fs::write(&stranger, "theirs").unwrap();
    fs::set_permissions(&stranger, fs::Permissions::from_mode(0o666)).unwrap();
    if rustix::process::getuid().is_root() {
        rustix::fs::chown(&stranger, Some(rustix::fs::Uid::from_raw(54321)), None).unwrap();
        fs::rename(&stranger, &log).unwrap();
        refused(&log, "belongs to user 54321");
    }
    write_owned(&daemon.socket(), "something else");
    refused(&daemon.socket(), "not a socket of ours");
    Output::of(daemon.command().arg("--check-config")).ok();
}

#[cfg(target_os = "linux")]
#[test]
fn no_core_is_dumped_of_a_process_with_keys() {
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
fn a_socket_and_a_pid_file_that_were_removed_are_made_anew() {
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
        wait_until("the socket is made anew", 60, || {
            daemon.socket().exists() && daemon.cli(&["ping"]).status == 0
        });
        let mode = fs::symlink_metadata(daemon.socket()).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let pid = daemon.process().pid().as_raw_nonzero().to_string();
        wait_until("the pid file is made anew", 60, || {
            fs::read_to_string(&pidfile).is_ok_and(|text| text.trim() == pid)
        });
        Output::of(&mut daemon.command()).fails(1, "already");
    }
    // What somebody put there in the meantime is not taken away.
    fs::remove_file(daemon.socket()).unwrap();
    write_owned(&daemon.socket(), "something else");
    let log = scratch.join("log/log");
    wait_until("the log says why", 60, || {
        fs::read_to_string(&log)
            .unwrap()
            .contains("not a socket of ours")
    });
    fs::remove_file(daemon.socket()).unwrap();
    wait_until("the socket is made anew", 60, || {
        daemon.socket().exists() && daemon.cli(&["ping"]).status == 0
    });
    daemon.stop();
    assert!(!daemon.socket().exists() && !pidfile.exists());
}

#[test]
fn that_the_log_was_reopened_is_said_only_where_it_was() {
    let scratch = Scratch::new("reopen");
    let mut daemon = daemon(&scratch);
    daemon.start();
    let (directory, away) = (scratch.join("log"), scratch.join("away"));
    fs::rename(&directory, &away).unwrap();
    let said = |directory: &Path| fs::read_to_string(directory.join("log")).unwrap_or_default();
    daemon.signal(Signal::HUP);
    wait_until("the failure is in the old log", 60, || {
        said(&away).contains("the log was not reopened")
    });
    daemon.cli(&["ping"]).ok();
    fs::create_dir(&directory).unwrap();
    user().own(&directory);
    daemon.signal(Signal::HUP);
    wait_until("the new log is written", 60, || {
        said(&directory).contains("SIGHUP: the log was reopened")
    });
    assert!(!said(&away).contains("the log was reopened"));
}
