//! While a backup is running: shutdown, a second backup, a client that disconnects, progress.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Cluster, Daemon, Process, Scratch, StoppedWalSender, wait_until};

/// A daemon with that `max_rate`, and a cluster of more than 20 MB.
fn with_max_rate(scratch: &Scratch, rate: &str) -> (Cluster, Daemon) {
    let cluster = Cluster::builder(scratch).start();
    let section = format!("max_rate = {rate}\nwal_receiver_timeout = 600s");
    let daemon = Daemon::builder(scratch)
        .server_with("primary", &cluster, &section)
        .start_streaming();
    (cluster, daemon)
}

fn begin(daemon: &Daemon, arguments: &[&str]) -> Child {
    let mut command = daemon.cli_command(arguments);
    let piped = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    wait_until("bytes of the backup have arrived", 60, || {
        assert!(child.try_wait().unwrap().is_none(), "it has failed");
        let progress = daemon
            .cli(&["-F", "raw", "progress", "primary", "backup"])
            .ok()
            .json();
        progress["Response"]["ProgressState"] == 1
            && progress["Response"]["Done"].as_u64() > Some(0)
    });
    child
}

fn is_idle(daemon: &Daemon) -> bool {
    let status = daemon.cli(&["-F", "raw", "status"]).ok().json();
    status["Response"]["Servers"][0]["ActiveBackup"] == false
}

#[test]
fn a_shutdown_aborts_a_running_backup_and_removes_its_files() {
    let scratch = Scratch::new("giveup");
    // At this rate a backup takes ten minutes.
    let (_cluster, mut daemon) = with_max_rate(&scratch, "32k");
    for signal in [Signal::TERM, Signal::INT] {
        let client = begin(&daemon, &["backup", "primary"]);
        daemon.signal(signal);
        let status = daemon.process().wait(20);
        assert!(status.success(), "{status}");
        let output = client.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("stopping"),
            "{output:?}"
        );
        let left = [daemon.labels("primary"), daemon.unfinished("primary")].concat();
        assert!(left.is_empty(), "{left:?}");
        daemon.kill();
        daemon.start();
    }
}

#[test]
fn a_second_backup_is_refused_and_does_not_affect_the_first() {
    let scratch = Scratch::new("busy");
    let (cluster, daemon) = with_max_rate(&scratch, "0");
    let held = StoppedWalSender::stop(&cluster, "pgmoneta");
    let mut first = begin(&daemon, &["backup", "primary"]);
    let output = daemon.cli(&["-F", "json", "backup", "primary"]);
    assert_eq!(output.status, 1, "{output}");
    assert_eq!(output.json()["Outcome"]["Error"], 102);
    // The refused request has not released the lock of the first.
    daemon
        .cli(&["backup", "primary"])
        .fails(1, "running already");
    assert!(
        daemon
            .cli(&["status"])
            .ok()
            .stdout
            .contains("Running     backup")
    );
    drop(held);
    assert!(first.wait().unwrap().success());
    assert_eq!(daemon.labels("primary").len(), 1);
    daemon.cli(&["verify", "primary", "newest"]).ok();
}

#[test]
fn a_backup_continues_without_its_client() {
    let scratch = Scratch::new("ctrlc");
    let (cluster, daemon) = with_max_rate(&scratch, "0");
    for (count, signal) in [(1, Signal::INT), (2, Signal::KILL)] {
        let held = StoppedWalSender::stop(&cluster, "pgmoneta");
        let client = begin(&daemon, &["backup", "primary"]);
        kill_process(Pid::from_child(&client), signal).unwrap();
        let output = client.wait_with_output().unwrap();
        if signal == Signal::INT {
            assert_eq!(output.status.code(), Some(130), "{output:?}");
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                stderr.contains("the backup goes on in the daemon"),
                "{stderr}"
            );
        }
        assert!(!is_idle(&daemon));
        drop(held);
        wait_until("the backup is done", 120, || is_idle(&daemon));
        assert_eq!(daemon.labels("primary").len(), count);
    }
    daemon.cli(&["verify", "primary", "newest"]).ok();
}

#[test]
fn the_progress_line_is_shown_on_a_terminal_and_erased() {
    let scratch = Scratch::new("terminal");
    let (_cluster, daemon) = with_max_rate(&scratch, "4M");
    let (mut screen, terminal) = terminal();
    let mut command = daemon.cli_command(&["backup", "primary"]);
    let mut client = Process::new(
        command
            .stdout(Stdio::null())
            .stderr(terminal)
            .spawn()
            .unwrap(),
        "pgmoneta-cli",
    );
    drop(command);
    let mut shown = Vec::new();
    let mut buffer = [0; 4096];
    // When the last process with the terminal ends, the read fails (EIO).
    while let Ok(count @ 1..) = screen.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..count]);
    }
    assert!(client.wait(60).success());
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let lines: Vec<&str> = shown
        .split("\r\u{1b}[K")
        .filter(|line| !line.is_empty())
        .collect();
    assert!(lines.len() >= 2, "{shown:?}");
    for part in ["backup: ", " of ", " %", "/s", " left"] {
        assert!(
            lines.iter().any(|line| line.contains(part)),
            "no {part:?} in {shown:?}"
        );
    }
    assert!(shown.ends_with("\r\u{1b}[K"), "{shown:?}");
    // Without a terminal there is no progress line.
    assert_eq!(daemon.cli(&["verify", "primary", "newest"]).ok().stderr, "");
}

/// The two ends of a pseudo terminal.
#[allow(unsafe_code)]
fn terminal() -> (File, File) {
    let (mut one, mut other) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: both descriptors are written to local variables, and the optional arguments are null.
    let result = unsafe { libc::openpty(&mut one, &mut other, null, null.cast(), null.cast()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the descriptors were just opened and have no other owner.
    let (one, other) = unsafe { (File::from_raw_fd(one), File::from_raw_fd(other)) };
    // Otherwise the client inherits this end and keeps it open.
    rustix::io::fcntl_setfd(&one, rustix::io::FdFlags::CLOEXEC).unwrap();
    assert!(one.as_raw_fd() != other.as_raw_fd());
    (one, other)
}
