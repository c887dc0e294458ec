//! Start in the foreground, signals and shutdown.

use rustix::process::Signal;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use super::wire::{connect, read_response};
use crate::harness::{Cluster, Daemon, Output, Scratch, test_timeout, user, write_owned};

#[test]
fn sigterm_and_sigint_stop_the_daemon_despite_idle_clients() {
    let scratch = Scratch::new("signals");
    let cluster = Cluster::builder(&scratch).start();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    for signal in [Signal::TERM, Signal::INT] {
        daemon.start();
        cluster.wait_streaming("pgmoneta");
        // A client with an incomplete request, whose timeout is ten minutes, does not delay the
        // stop and gets a response.
        let mut idle = connect(&daemon.socket());
        idle.write_all(b"\0\0").unwrap();
        daemon.cli(&["ping"]).ok();
        daemon.signal(signal);
        let status = daemon.process().wait(20);
        assert!(status.success(), "{status}");
        assert!(read_response(&mut idle).contains("stopping"));
        daemon.kill();
        daemon.cli(&["ping"]).fails(3, "no daemon");
        assert_eq!(
            fs::read_dir(daemon.directory().join("run"))
                .unwrap()
                .count(),
            0
        );
    }
}

#[test]
fn sighup_and_sigpipe_do_not_stop_the_daemon() {
    let scratch = Scratch::new("hup");
    let cluster = Cluster::builder(&scratch).create();
    let mut daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    daemon.signal(Signal::HUP);
    daemon.wait_log("SIGHUP", 10);
    daemon.signal(Signal::PIPE);
    daemon.cli(&["ping"]).ok();
    assert!(daemon.is_running());
    daemon.cli(&["shutdown"]).ok();
    assert!(daemon.process().wait(20).success());
}

#[test]
fn the_service_manager_is_notified_of_start_and_stop() {
    let scratch = Scratch::new("notify");
    let cluster = Cluster::builder(&scratch).create();
    let path = scratch.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    user().chown(&path);
    socket.set_read_timeout(Some(test_timeout(20))).unwrap();
    let mut daemon = Daemon::builder(&scratch)
        .env("NOTIFY_SOCKET", path.to_str().unwrap())
        .server("primary", &cluster)
        .start();
    let receive = || {
        let mut bytes = [0; 200];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    assert!(receive().starts_with("READY=1"));
    daemon.stop();
    assert_eq!(receive(), "STOPPING=1");
}

#[test]
fn the_daemon_refuses_to_run_as_root() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped, since it needs root: the daemon refuses to run as root");
        return;
    }
    let scratch = Scratch::new("root");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pgmoneta"));
    command.arg("-D").arg(daemon.directory());
    Output::of(&mut command).fails(1, "root");
    assert_eq!(
        fs::read_dir(daemon.directory().join("run"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn errors_of_the_start_have_exit_status_1() {
    let scratch = Scratch::new("start");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .create();
    let start = || Output::of(&mut daemon.command());
    let text = fs::read_to_string(daemon.configuration()).unwrap();

    write_owned(
        &daemon.configuration(),
        text.replace("wal_slot", "wal_slott"),
    );
    start().fails(1, "wal_slot");
    write_owned(
        &daemon.configuration(),
        text.replace("user = ", "user = not_"),
    );
    start().fails(1, "pgmoneta_users.conf");
    let long = format!("unix_socket_dir = {}/run/", daemon.directory().display());
    let longer = format!("{long}{}", "x".repeat(100));
    write_owned(
        &daemon.configuration(),
        text.replace(long.trim_end_matches('/'), &longer),
    );
    start().fails(1, "socket");
    write_owned(&daemon.configuration(), &text);

    let key = daemon.directory().join("home/.pgmoneta/master.key");
    let good = fs::read(&key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    start().fails(1, "master.key");
    fs::remove_file(&key).unwrap();
    start().fails(1, "master.key");
    write_owned(&key, good);

    let repository = daemon.base_dir();
    fs::set_permissions(&repository, fs::Permissions::from_mode(0o500)).unwrap();
    start().fails(1, "permission denied");
    fs::set_permissions(&repository, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(
        fs::read_dir(daemon.directory().join("run"))
            .unwrap()
            .count(),
        0,
        "no file is left behind"
    );
    Output::of(daemon.command().arg("--check-config")).ok();
    Output::of(daemon.command().arg("--nonsense")).fails(2, "nonsense");
    let output = Output::of(daemon.command().arg("-V")).ok();
    assert_eq!(
        output.stdout,
        format!("pgmoneta {}\n", env!("CARGO_PKG_VERSION"))
    );
}
