//! A repository, a socket and a pid file have one daemon; the files of a killed daemon do not
//! prevent a start.

use std::fs;
use std::os::unix::net::UnixListener;

use crate::harness::{Cluster, Daemon, Output, Scratch, user, write_owned};

/// A second daemon with the settings in `keys`, in which FIRST is the directory of the first.
fn second(scratch: &Scratch, first: &Daemon, keys: &str) -> Daemon {
    let cluster = Cluster::builder(scratch).name("other").create();
    let keys = keys.replace("FIRST", first.directory().to_str().unwrap());
    let other = Daemon::builder(scratch)
        .name("second")
        .server("primary", &cluster)
        .create();
    let text = fs::read_to_string(other.configuration()).unwrap();
    // The keys are inserted, and the earlier lines with them removed.
    let text = text.replacen("log_type", &format!("{keys}\nlog_type"), 1);
    let text = drop_earlier(&text, &keys);
    write_owned(&other.configuration(), text);
    other
}

/// Leaves out the lines whose keys are set again by `keys`.
fn drop_earlier(text: &str, keys: &str) -> String {
    let key = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
    let set: Vec<String> = keys.lines().map(key).collect();
    let lines = text
        .lines()
        .filter(|line| keys.lines().any(|new| new == *line) || !set.contains(&key(line)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_second_daemon_is_refused() {
    let scratch = Scratch::new("second");
    let cluster = Cluster::builder(&scratch).create();
    let mut first = Daemon::builder(&scratch)
        .global(&format!("pidfile = {}", scratch.join("one.pid").display()))
        .server("primary", &cluster)
        .start();
    let pid = first.process().pid().as_raw_nonzero().to_string();
    let pidfile = fs::read_to_string(scratch.join("one.pid")).unwrap();
    assert_eq!(pidfile, format!("{pid}\n"));
    for keys in [
        "base_dir = FIRST/repo",
        "unix_socket_dir = FIRST/run",
        &format!("pidfile = {}", scratch.join("one.pid").display()),
    ] {
        let other = second(&scratch, &first, keys);
        let output = Output::of(&mut other.command()).fails(1, "already");
        assert!(output.stderr.contains(&pid), "{keys}: {output}");
        fs::remove_dir_all(other.directory()).unwrap();
        drop(other);
        fs::remove_dir_all(scratch.join("other")).unwrap();
        first.cli(&["ping"]).ok();
    }
    // The same configuration again.
    Output::of(&mut first.command()).fails(1, "already");
    first.cli(&["ping"]).ok();
    first.stop();
    assert!(
        !scratch.join("one.pid").exists(),
        "the pid file goes with the daemon"
    );
    assert!(!first.socket().exists(), "the socket goes with the daemon");
}

#[test]
fn the_files_of_a_killed_daemon_are_replaced() {
    let scratch = Scratch::new("stale");
    let cluster = Cluster::builder(&scratch).create();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    daemon.kill();
    assert!(daemon.socket().exists());
    let pidfile = daemon.directory().join("run/pgmoneta.127.0.0.1.pid");
    assert!(pidfile.exists());
    daemon.start();
    daemon.stop();
    // A stale pid file with the process id of a running process that is no daemon.
    write_owned(&pidfile, format!("{}\n", std::process::id()));
    daemon.start();
    daemon.stop();
    assert!(!pidfile.exists());
}

#[test]
fn a_socket_on_which_another_process_listens_is_not_replaced() {
    let scratch = Scratch::new("taken");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    // As a daemon of the C program, which has no lock file.
    let listener = UnixListener::bind(daemon.socket()).unwrap();
    user().chown(&daemon.socket());
    Output::of(&mut daemon.command()).fails(1, "listens");
    assert!(daemon.socket().exists());
    drop(listener);
    let file = daemon.directory().join("run");
    assert_eq!(
        fs::read_dir(file).unwrap().count(),
        1,
        "nothing but the socket is left"
    );
}
