//! Remote management over TLS.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use pgmoneta::protocol::login::startup;
use rustix::process::Signal;

use super::setup::{ADMIN, Remote, message, rest};
use crate::harness::{Certificate, Output, Scratch, write_owned};

/// The lines of a daemon that requires certificates of clients.
fn lines(scratch: &Scratch) -> String {
    let [certificate, key, authority] =
        ["server.crt", "server.key", "authority.crt"].map(|name| scratch.join(name));
    format!(
        "tls = on\ntls_cert_file = {}\ntls_key_file = {}\ntls_ca_file = {}",
        certificate.display(),
        key.display(),
        authority.display()
    )
}

/// Writes files of `~/.pgmoneta` of the client; its home directory is that of the daemon.
fn install(remote: &Remote, name: &str, from: Option<&Path>) {
    let path = remote.daemon.directory().join("home/.pgmoneta").join(name);
    match from {
        Some(from) => write_owned(&path, std::fs::read(from).unwrap()),
        None => std::fs::remove_file(&path).unwrap(),
    }
}

/// `openssl s_client` asks for TLS as a client of PostgreSQL does.
fn s_client(remote: &Remote, arguments: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    let address = format!("127.0.0.1:{}", remote.port);
    command
        .args(["s_client", "-starttls", "postgres", "-connect", &address])
        .args(arguments)
        .stdin(Stdio::null());
    Output::of(&mut command)
}

#[test]
fn both_sides_verify_certificates_and_versions() {
    let scratch = Scratch::new("remote-tls");
    let authority = Certificate::authority("authority");
    let (root, _) = authority.write(&scratch, "authority");
    authority
        .sign("localhost", "127.0.0.1")
        .write(&scratch, "server");
    let (certificate, key) = authority
        .sign("moneta", "127.0.0.2")
        .write(&scratch, "client");
    let stranger = Certificate::authority("authority");
    let (strange_root, _) = stranger.write(&scratch, "strange-root");
    let (strange, strange_key) = stranger
        .sign("moneta", "127.0.0.2")
        .write(&scratch, "strange");
    let remote = Remote::start(&scratch, &lines(&scratch));

    a_client_without_tls_is_refused(&remote);
    // The authorities of the system do not know the daemon.
    remote
        .cli(&["ping", "--tls"])
        .fails(1, "~/.pgmoneta/root.crt must contain");
    // From here on, TLS is the default.
    install(&remote, "root.crt", Some(&root));
    remote
        .cli(&["ping"])
        .fails(1, "pgmoneta.key in ~/.pgmoneta");
    install(&remote, "pgmoneta.key", Some(&strange_key));
    remote.cli(&["ping"]).fails(2, "pgmoneta.crt is missing");
    install(&remote, "pgmoneta.crt", Some(&strange));
    remote.cli(&["ping"]).fails(1, "rejected");
    install(&remote, "pgmoneta.key", Some(&key));
    remote.cli(&["ping"]).fails(2, "mismatch");
    install(&remote, "pgmoneta.crt", Some(&certificate));
    remote.cli(&["ping"]).ok();
    let list = remote.cli(&[
        "-C",
        "zstd",
        "-E",
        "aes",
        "-F",
        "json",
        "list-backup",
        "primary",
    ]);
    assert_eq!(list.ok().json()["Outcome"]["Status"], true);
    // The name in the certificate counts.
    let mut other = remote.cli_command("127.0.0.1", &["ping", "-U", ADMIN, "-P", "wrong"]);
    Output::of(&mut other).fails(1, "connection refused");
    install(&remote, "root.crt", Some(&strange_root));
    remote.cli(&["ping"]).fails(1, "root.crt must contain");
    install(&remote, "root.crt", Some(&root));

    openssl_connects(&remote, [&certificate, &key, &root]);
    remote.cli(&["ping"]).ok();
}

fn a_client_without_tls_is_refused(remote: &Remote) {
    remote.cli(&["ping"]).fails(1, "requires TLS");
    let mut stream = remote.connect();
    stream.write_all(&startup(ADMIN).unwrap()).unwrap();
    let (tag, text) = message(&mut stream);
    assert!(tag == b'E' && String::from_utf8_lossy(&text).contains("requires TLS"));
    assert_eq!(rest(&mut stream), [0]);
}

/// With this certificate, its key, and the authority of the daemon.
fn openssl_connects(remote: &Remote, files: [&Path; 3]) {
    let [certificate, key, root] = files.map(|file| file.to_str().unwrap());
    let identity = [
        "-cert",
        certificate,
        "-key",
        key,
        "-CAfile",
        root,
        "-verify_return_error",
    ];
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let output = s_client(remote, &[&identity[..], &[version]].concat()).ok();
        assert!(output.stdout.contains(name), "{output}");
        assert!(
            output.stdout.contains("Verify return code: 0 (ok)"),
            "{output}"
        );
        assert!(!output.stdout.contains("TLS session ticket:"), "{output}");
    }
    // Security level 0 lets this client offer old versions at all.
    let old = [&identity[..], &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]].concat();
    let output = s_client(remote, &old);
    assert_ne!(output.status, 0, "{output}");
    assert!(output.stderr.contains("alert"), "{output}");
    let output = s_client(remote, &["-tls1_2", "-CAfile", root]);
    assert_ne!(output.status, 0, "{output}");
}

#[test]
fn sighup_reads_certificates_and_users_again() {
    let scratch = Scratch::new("remote-hup");
    let [old, new] = ["old", "new"].map(Certificate::authority);
    let write = |authority: &Certificate| {
        authority
            .sign("localhost", "127.0.0.1")
            .write(&scratch, "server");
        authority.write(&scratch, "authority").0
    };
    let new_root = new.write(&scratch, "new").0;
    let old_root = write(&old);
    let lines = lines(&scratch);
    let lines = lines.split_once("\ntls_ca_file").unwrap().0;
    let remote = Remote::start(&scratch, lines);
    install(&remote, "root.crt", Some(&old_root));
    remote.cli(&["ping"]).ok();
    // Both are damaged: what was read before stays in use.
    let key = scratch.join("server.key");
    let right = std::fs::read(&key).unwrap();
    write_owned(&key, "no PEM");
    let admins = remote.daemon.directory().join("pgmoneta_admins.conf");
    let users = std::fs::read(&admins).unwrap();
    write_owned(&admins, "moneta:damaged\n");
    remote.daemon.signal(Signal::HUP);
    remote.daemon.wait_log("the certificates were not read", 60);
    remote.daemon.wait_log("the admins file was not read", 60);
    remote.cli(&["ping"]).ok();
    write_owned(&key, right);
    write_owned(&admins, users);
    remote.add("second", "another");
    write(&new);
    remote.daemon.signal(Signal::HUP);
    remote.daemon.wait_log("the admins file was read again", 60);
    remote.cli(&["ping"]).fails(1, "root.crt must contain");
    install(&remote, "root.crt", Some(&new_root));
    remote.cli(&["ping"]).ok();
    let second = ["ping", "-U", "second", "-P", "another"];
    Output::of(&mut remote.cli_command("127.0.0.1", &second)).ok();
    install(&remote, "root.crt", None);
}
