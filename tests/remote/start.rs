//! What stops the start, and what is only a warning.

use std::net::{TcpListener, TcpStream};

use super::setup::Remote;
use crate::harness::{Certificate, Output, Scratch, write_owned};

#[test]
fn unusable_certificates_and_ports_stop_the_start() {
    let scratch = Scratch::new("remote-start");
    let authority = Certificate::authority("authority");
    let (one, key) = authority
        .sign("localhost", "127.0.0.1")
        .write(&scratch, "one");
    let (_, other) = authority
        .sign("localhost", "127.0.0.1")
        .write(&scratch, "other");
    let garbage = scratch.write("garbage", "no PEM");
    let lines = |certificate: &std::path::Path, key: &std::path::Path, more: &str| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("tls = on\ntls_cert_file = {certificate}\ntls_key_file = {key}\n{more}")
    };
    let mut remote = Remote::create(&scratch, &lines(&one, &key, "tls_ca_file ="));
    let right = std::fs::read_to_string(remote.daemon.configuration()).unwrap();
    let check = |text: &str, expected: &str| {
        write_owned(&remote.daemon.configuration(), text);
        let checked = Output::of(remote.daemon.command().arg("--check-config"));
        assert_ne!(checked.status, 0, "{text}");
        assert!(checked.stderr.contains(expected), "{expected}: {checked}");
    };
    let replaced = |from: &std::path::Path, to: &str| right.replace(from.to_str().unwrap(), to);
    check(&replaced(&one, "/nowhere"), "/nowhere");
    check(&replaced(&one, garbage.to_str().unwrap()), "garbage");
    check(&replaced(&key, garbage.to_str().unwrap()), "garbage");
    check(&replaced(&key, other.to_str().unwrap()), "KeyMismatch");
    Output::of(&mut remote.daemon.command()).fails(1, "KeyMismatch");
    check(
        &right.replace(
            "tls_ca_file =",
            &format!("tls_ca_file = {}", garbage.display()),
        ),
        "garbage",
    );
    check(&right.replace("tls_key_file", "#"), "tls_key_file");
    let mode = |mode| {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&key, permissions).unwrap();
    };
    mode(0o640);
    check(&right, "chmod 0600");
    mode(0o600);

    write_owned(&remote.daemon.configuration(), &right);
    Output::of(remote.daemon.command().arg("--check-config")).ok();
    let taken = TcpListener::bind(("127.0.0.1", remote.port)).unwrap();
    Output::of(&mut remote.daemon.command()).fails(1, "another process listens");
    drop(taken);
    // Nobody could log in.
    let admins = remote.daemon.directory().join("pgmoneta_admins.conf");
    write_owned(&admins, "# none\n");
    remote.daemon.start();
    remote
        .daemon
        .wait_log("is not opened, since there is no user", 60);
    assert!(TcpStream::connect(("127.0.0.1", remote.port)).is_err());
    remote.daemon.stop();
}
