//! Remote management without TLS.

use std::io::Write;
use std::process::Stdio;

use pgmoneta::codec::Compression;
use pgmoneta::crypto::{MasterKey, Secret};
use pgmoneta::protocol::login::{sasl_initial_response, sasl_response};
use pgmoneta::protocol::{Codec, Frame, FrameLimits};
use pgmoneta::unit::Encryption;
use serde_json::Value;

use super::setup::{ADMIN, PASSWORD, Remote, message, refusal, rest};
use crate::harness::{Output, Process, Scratch, client, write_owned};

/// A ping.
const PING: &str = r#"{"Header":{"Command":9},"Request":{}}"#;

/// The key in the home directory of the daemon.
fn master_key(remote: &Remote) -> MasterKey {
    let file = remote.daemon.directory().join("home/.pgmoneta/master.key");
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<Vec<u8>> = text
        .lines()
        .map(|line| openssl::base64::decode_block(line).unwrap())
        .collect();
    let salt = lines[1][..].try_into().unwrap();
    MasterKey::derive(&Secret::new(lines[0].clone()), &salt)
}

/// The frame in the bytes that the daemon sent.
fn frame(bytes: &[u8]) -> Frame {
    let mut bytes = bytes;
    let read = &mut |buffer: &mut [u8]| Ok(std::io::Read::read(&mut bytes, buffer)?);
    Frame::read(read, FrameLimits::RESPONSE).unwrap()
}

#[test]
fn requests_in_every_codec_are_answered_in_the_same_one() {
    let scratch = Scratch::new("remote-codecs");
    let mut remote = Remote::create(&scratch, "");
    let text = std::fs::read_to_string(remote.daemon.configuration()).unwrap();
    let text = text.replacen("host = 127.0.0.1", "host = *", 1);
    write_owned(&remote.daemon.configuration(), text);
    remote.daemon.start();
    remote.daemon.wait_log("is open without TLS", 60);
    let key = master_key(&remote);
    for compression in Compression::ALL {
        for encryption in Encryption::ALL {
            let codec = Codec {
                compression,
                encryption,
            };
            let mut stream = remote.log_in();
            let sent = Frame::encode(PING, codec, Some(&key)).unwrap();
            stream.write_all(&sent.bytes().unwrap()).unwrap();
            let answer = frame(&rest(&mut stream));
            assert_eq!(answer.codec().unwrap(), codec);
            let text = answer.decode(Some(&key), FrameLimits::RESPONSE).unwrap();
            assert!(text.contains(r#""Status":true"#), "{codec:?}: {text}");
        }
    }
    // What is no request gets the error of the C program, and decompression has a limit.
    let bomb = vec![b' '; 60 << 20];
    let zstd = zstd_frame(&bomb);
    let plain = |payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap();
        [&[0, 0], &length.to_be_bytes()[..], payload].concat()
    };
    let mut wrong = vec![
        ("zstd bomb", zstd),
        ("4 GiB", b"\0\0\xff\xff\xff\xff".to_vec()),
        ("empty", plain(b"")),
        ("no JSON", plain(b"GET / HTTP/1.1\r\n\r\n")),
        ("unknown codec", b"\x05\x04\0\0\0\x01x".to_vec()),
    ];
    for compression in Compression::ALL.into_iter().skip(1) {
        let mut bytes = vec![compression.code(), 0, 0, 0, 0, 4];
        bytes.extend(b"AAAA");
        wrong.push(("no message", bytes));
    }
    for (case, bytes) in wrong {
        let mut stream = remote.log_in();
        stream.write_all(&bytes).unwrap();
        let text = frame(&rest(&mut stream)).decode(None, FrameLimits::RESPONSE);
        let document: Value = serde_json::from_str(&text.unwrap()).unwrap();
        let outcome = &document["Outcome"];
        assert_eq!(outcome["Error"], 1, "{case}: {document}");
        assert_eq!(outcome["Workflow"], "remote", "{case}: {document}");
    }
    // A frame that ends early, and one that is never sent.
    for bytes in [&b"\0\0\0"[..], b""] {
        let mut stream = remote.log_in();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!rest(&mut stream).is_empty());
    }
}

fn zstd_frame(document: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(document.to_vec()).unwrap();
    let codec = Codec {
        compression: Compression::from_code(2).unwrap(),
        encryption: Encryption::None,
    };
    Frame::encode(&text, codec, None).unwrap().bytes().unwrap()
}

#[test]
fn only_the_right_password_lets_a_client_in() {
    let scratch = Scratch::new("remote-login");
    let remote = Remote::start(&scratch, "");
    refusals_look_the_same(&remote);
    passwords_come_from_every_source(&remote, &scratch);
    psql_logs_in(&remote, &scratch);
    let mut daemon = remote.daemon;
    daemon.stop();
}

fn passwords_come_from_every_source(remote: &Remote, scratch: &Scratch) {
    let list = remote.cli(&["-F", "json", "list-backup", "primary"]).ok();
    assert_eq!(list.json()["Outcome"]["Status"], true);
    remote
        .daemon
        .wait_log("list-backup \"primary\" by \"moneta\" at 127.0.0.1", 60);
    let run = |host: &str, arguments: &[&str]| {
        let mut command = remote.cli_command(host, &["-U", ADMIN, "ping"]);
        Output::of(command.args(arguments))
    };
    // localhost may have ::1 too, where nobody listens.
    run("localhost", &["-P", PASSWORD]).ok();
    let file = scratch.join("password");
    write_owned(&file, format!("{PASSWORD}\n"));
    let file = file.to_str().unwrap();
    run("127.0.0.1", &["--password-file", file]).ok();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file, open).unwrap();
    run("127.0.0.1", &["--password-file", file]).fails(2, "chmod 0600");
    // From standard input, if there is no terminal: the user, then the password.
    let mut command = remote.cli_command("127.0.0.1", &["ping"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = format!("{ADMIN}\n{PASSWORD}\n");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");

    let refused = run("127.0.0.1", &["-P", "wrong"]).fails(1, "connection refused");
    assert!(
        refused.stderr.contains("hint: check the user name"),
        "{refused}"
    );
    run("127.0.0.1", &["-P", PASSWORD, "--tls"]).fails(1, "does not offer TLS");
    run("127.0.0.1", &[]).fails(2, "standard input ended");
    run("nobody.invalid", &["-P", PASSWORD]).fails(3, "no daemon");
    let relative = ["restore", "primary", "newest", "here"];
    remote.cli(&relative).fails(2, "not a full path");
    // Files are on the host of the client.
    let plain = scratch.join("file");
    write_owned(&plain, "text");
    let compressed = remote.cli(&["compress", plain.to_str().unwrap()]).ok();
    assert!(compressed.stderr.contains("another host"), "{compressed}");
    assert!(scratch.join("file.zstd").exists());
}

/// psql logs in as any client of PostgreSQL, and then waits for what never comes.
fn psql_logs_in(remote: &Remote, scratch: &Scratch) {
    let psql = |user: &str, database: &str| {
        let mut command = crate::harness::user().command(client("psql"));
        command
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &remote.port.to_string(),
                "-U",
                user,
            ])
            .args(["-d", database, "-w", "-c", "SELECT 1"])
            .env("PGPASSWORD", "pencil")
            .env("PGSSLMODE", "prefer")
            .env("HOME", scratch.path());
        command
    };
    remote.add("psql", "pencil");
    remote.daemon.signal(rustix::process::Signal::HUP);
    remote.daemon.wait_log("the admins file was read again", 60);
    for (user, database) in [("nobody", "admin"), (ADMIN, "admin"), ("psql", "postgres")] {
        let output = Output::of(&mut psql(user, database));
        output.fails(2, "FATAL:  connection refused");
    }
    let mut command = psql("psql", "admin");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _child = Process::new(child.unwrap(), "psql");
    remote.daemon.wait_log("\"psql\" has logged in", 60);
}

/// What the daemon sends during a login with this name, database and proof, without the random
/// part.
fn transcript(remote: &Remote, user: &str, database: &str) -> Vec<Vec<u8>> {
    let mut stream = remote.connect();
    let fields = format!("user\0{user}\0database\0{database}\0\0");
    let length = u32::try_from(fields.len() + 8).unwrap().to_be_bytes();
    let startup = [&length[..], b"\0\x03\0\0", fields.as_bytes()].concat();
    stream.write_all(&startup).unwrap();
    let mut received = vec![message(&mut stream).1];
    let nonce = "fyko+d2lbbFgONRv9qkxdawL";
    stream
        .write_all(&sasl_initial_response(&format!("n,,n=,r={nonce}")))
        .unwrap();
    let first = message(&mut stream).1;
    let text = String::from_utf8(first[4..].to_vec()).unwrap();
    let parts: Vec<&str> = text.split(',').collect();
    assert!(parts[0].starts_with(&format!("r={nonce}")), "{text}");
    received.push(parts.iter().map(|part| part.len() as u8).collect());
    received.push(parts[2].as_bytes().to_vec());
    let proof = "A".repeat(43) + "=";
    let last = format!("c=biws,{},p={proof}", parts[0]);
    stream.write_all(&sasl_response(&last)).unwrap();
    received.push(rest(&mut stream));
    received
}

/// An unknown user, a wrong password and a wrong database.
fn refusals_look_the_same(remote: &Remote) {
    let wrong = transcript(remote, ADMIN, "admin");
    assert_eq!(wrong[3], refusal());
    assert_eq!(wrong[1], [2 + 48, 2 + 24, 6]);
    assert_eq!(transcript(remote, "nobody", "admin"), wrong);
    assert_eq!(transcript(remote, ADMIN, "other"), wrong);
    assert_eq!(transcript(remote, "", ""), wrong);
    remote.cli(&["ping"]).ok();
}
