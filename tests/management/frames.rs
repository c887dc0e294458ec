//! Invalid frames, invalid requests, idle clients and too many clients.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use super::wire::{connect, error_code, exchange, exchange_json, frame, read_response, request};
use crate::harness::{Cluster, Daemon, Output, Scratch, program, user};

fn daemon(scratch: &Scratch) -> Daemon {
    let cluster = Cluster::builder(scratch).create();
    Daemon::builder(scratch).server("primary", &cluster).start()
}

fn assert_undecodable(text: &str, case: &str) {
    let document: serde_json::Value =
        serde_json::from_str(text).unwrap_or_else(|e| panic!("{case}: {e} in {text:?}"));
    assert_eq!(error_code(&document), 1, "{case}: {document}");
    assert_eq!(document["Outcome"]["Workflow"], "main", "{case}");
    assert_eq!(
        document["Response"]["Server"],
        serde_json::Value::Null,
        "{case}"
    );
    assert!(document["Response"]["ServerVersion"].is_string(), "{case}");
}

#[test]
fn invalid_frames_get_error_1() {
    let scratch = Scratch::new("frames");
    let daemon = daemon(&scratch);
    let text = request(9, "{}");
    let raw_frame = |compression: u8, encryption: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[compression, encryption], &length[..], payload].concat()
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("4 GiB", b"\0\0\xff\xff\xff\xff".to_vec()),
        (
            "4 GiB and some bytes",
            [&b"\0\0\xff\xff\xff\xff"[..], text.as_bytes()].concat(),
        ),
        ("one more than allowed", b"\0\0\x04\0\0\x01".to_vec()),
        ("empty", raw_frame(0, 0, b"")),
        ("empty and compressed", raw_frame(2, 0, b"")),
        ("empty and encrypted", raw_frame(0, 1, b"")),
        ("broken JSON", frame("{\"Header\":{\"Command\":9")),
        ("no JSON", frame("GET / HTTP/1.1\r\n\r\n")),
        ("an array", frame("[]")),
        ("no UTF-8", raw_frame(0, 0, b"\xff\xfe\xfd")),
        ("deep", frame(&"{\"a\":".repeat(200_000))),
        ("unknown compression", raw_frame(5, 0, text.as_bytes())),
        ("unknown encryption", raw_frame(0, 4, text.as_bytes())),
        ("no base64", raw_frame(2, 0, text.as_bytes())),
        ("no zstd", raw_frame(2, 0, b"AAAAAAAA")),
        ("not encrypted", raw_frame(0, 1, &b"A".repeat(400))),
        ("Header is a number", frame("{\"Header\":1,\"Request\":{}}")),
        (
            "Command is a text",
            frame("{\"Header\":{\"Command\":\"9\"},\"Request\":{}}"),
        ),
        (
            "Request is an array",
            frame("{\"Header\":{\"Command\":9},\"Request\":[]}"),
        ),
    ];
    for (case, bytes) in cases {
        assert_undecodable(&exchange(&daemon.socket(), &bytes), case);
    }
    daemon.cli(&["ping"]).ok();
}

#[test]
fn members_of_the_wrong_type_get_error_1() {
    let scratch = Scratch::new("types");
    let daemon = daemon(&scratch);
    for (command, fields) in [
        (1, r#"{"Server":1}"#),
        (1, r#"{"Server":"primary","Backup":[]}"#),
        (2, r#"{"Server":{"a":1}}"#),
        (3, r#"{"Server":"primary","Backup":"newest","Directory":7}"#),
        (
            3,
            r#"{"Server":"primary","Backup":"newest","Directory":"/x","Tablespaces":{"1":2}}"#,
        ),
        (18, r#"{"Server":"primary","Backup":1.5}"#),
        (19, r#"{"Server":"primary","Backup":true}"#),
        (25, r#"{"Server":9223372036854775807}"#),
    ] {
        let document = exchange_json(&daemon.socket(), &request(command, fields));
        assert_eq!(error_code(&document), 1, "{command} {fields}");
        assert_eq!(
            document["Header"]["Command"], command,
            "the request is echoed"
        );
    }
    daemon.cli(&["ping"]).ok();
}

#[test]
fn an_unknown_server_gets_the_error_code_of_the_command() {
    let scratch = Scratch::new("codes");
    let daemon = daemon(&scratch);
    for (command, code) in [
        (1, 111),
        (2, 304),
        (3, 603),
        (18, 2201),
        (19, 800),
        (25, 3000),
    ] {
        for server in [
            r#""nobody""#,
            r#""..""#,
            r#""a/b""#,
            r#""a\nb""#,
            "null",
            r#""""#,
        ] {
            let document = exchange_json(
                &daemon.socket(),
                &request(command, &format!(r#"{{"Server":{server}}}"#)),
            );
            assert_eq!(error_code(&document), code, "{command} {server}");
            assert_eq!(document["Outcome"]["Workflow"], "main");
            assert_eq!(
                document["Response"].as_object().unwrap().len(),
                2,
                "{document}"
            );
        }
        let long = format!(r#"{{"Server":"{}"}}"#, "x".repeat(300));
        assert_eq!(
            error_code(&exchange_json(&daemon.socket(), &request(command, &long))),
            code
        );
    }
}

#[test]
fn unknown_and_unimplemented_commands_get_an_error_code() {
    let scratch = Scratch::new("unknown");
    let daemon = daemon(&scratch);
    for command in [10, 11, 21, 22, 23, 24, 200, 201] {
        let document = exchange_json(
            &daemon.socket(),
            &request(command, r#"{"Server":"primary"}"#),
        );
        assert!(error_code(&document) > 1, "{document}");
        let message = document["Outcome"]["Message"].as_str().unwrap();
        assert!(message.contains("not implemented"), "{message}");
    }
    for command in ["0", "26", "-1", "99999999999"] {
        let document = exchange_json(
            &daemon.socket(),
            &format!(r#"{{"Header":{{"Command":{command}}}}}"#),
        );
        assert_eq!(error_code(&document), 2, "{document}");
    }
    assert_eq!(
        error_code(&exchange_json(&daemon.socket(), "{}")),
        2,
        "no header is no command"
    );
    let document = exchange_json(
        &daemon.socket(),
        &request(2, r#"{"Server":"primary","Sort":"up"}"#),
    );
    assert_eq!(error_code(&document), 306);
    let document = exchange_json(
        &daemon.socket(),
        &request(18, r#"{"Server":"primary","Backup":"newest"}"#),
    );
    assert_eq!(
        (error_code(&document), &document["Outcome"]["Workflow"]),
        (2200, &"info".into())
    );
}

#[test]
fn a_truncated_frame_gets_error_1() {
    let scratch = Scratch::new("short");
    let daemon = daemon(&scratch);
    let whole = frame(&request(9, "{}"));
    for length in [1, 5, 6, 7, whole.len() - 1] {
        let mut stream = connect(&daemon.socket());
        stream.write_all(&whole[..length]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_undecodable(&read_response(&mut stream), &format!("{length} bytes"));
    }
    // A frame that arrives byte by byte is accepted.
    let mut stream = connect(&daemon.socket());
    for byte in &whole {
        stream.write_all(&[*byte]).unwrap();
    }
    assert!(read_response(&mut stream).contains("\"Status\":true"));
}

#[test]
fn idle_clients_time_out_and_do_not_block_others() {
    let scratch = Scratch::new("idle");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .global("authentication_timeout = 5s")
        .server("primary", &cluster)
        .start();
    let idle = (0..20).map(|index| {
        let mut stream = connect(&daemon.socket());
        // Some send nothing, some the beginning of a long frame.
        stream.write_all(&b"\0\0\0\x10\0\0{"[..index % 8]).unwrap();
        stream
    });
    let idle: Vec<_> = idle.collect();
    assert!(exchange(&daemon.socket(), &frame(&request(9, "{}"))).contains("\"Status\":true"));
    for mut stream in idle {
        assert_undecodable(&read_response(&mut stream), "an idle client");
    }
}

#[test]
fn clients_above_the_maximum_get_error_3() {
    let scratch = Scratch::new("many");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    let idle: Vec<_> = (0..64).map(|_| connect(&daemon.socket())).collect();
    let mut refused = connect(&daemon.socket());
    let text = read_response(&mut refused);
    assert!(text.contains("\"Error\":3"), "{text}");
    assert!(text.contains("which is the maximum"), "{text}");
    drop(idle);
    crate::harness::wait_until("a client is accepted again", 30, || {
        daemon.cli(&["ping"]).status == 0
    });
}

#[test]
fn concurrent_clients_get_their_own_responses() {
    let scratch = Scratch::new("crowd");
    let daemon = daemon(&scratch);
    thread::scope(|scope| {
        for number in 0..8 {
            let socket = daemon.socket();
            scope.spawn(move || {
                for round in 0..25 {
                    let name = format!("client {number} round {round}");
                    let document =
                        exchange_json(&socket, &request(9, &format!(r#"{{"Name":"{name}"}}"#)));
                    assert_eq!(document["Request"]["Name"], name.as_str());
                }
            });
        }
    });
}

/// The mode of the socket excludes other users; if it is changed, the daemon checks the user id.
#[test]
fn another_user_is_refused_with_any_mode_of_the_socket() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped, since it needs root: a client of another user");
        return;
    }
    let scratch = Scratch::new("uid");
    let daemon = daemon(&scratch);
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(
        std::fs::metadata(daemon.socket())
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    for directory in [
        scratch.path(),
        daemon.directory(),
        &daemon.directory().join("run"),
    ] {
        mode(directory, 0o755);
    }
    mode(&daemon.configuration(), 0o644);
    let other = || {
        // As the other runs, but with another user.
        let mut command = Command::new(program("pgmoneta-cli"));
        command.uid(65_534).gid(65_534).current_dir("/");
        command.arg("-c").arg(daemon.configuration()).arg("ping");
        Output::of(&mut command)
    };
    mode(&program("pgmoneta-cli"), 0o755);
    mode(program("pgmoneta-cli").parent().unwrap(), 0o755);
    other().fails(3, "permission denied");
    mode(&daemon.socket(), 0o666);
    other().fails(1, "user id 65534 is refused");
    daemon.cli(&["ping"]).ok();
    assert!(
        exchange(&daemon.socket(), &frame(&request(9, "{}"))).contains("\"Status\":true"),
        "root is accepted"
    );
    let _ = user();
}

#[test]
fn a_client_that_disconnects_does_not_disturb_others() {
    let scratch = Scratch::new("gone");
    let daemon = daemon(&scratch);
    for _ in 0..50 {
        let mut stream = connect(&daemon.socket());
        stream.write_all(&frame(&request(8, "{}"))).unwrap();
        drop(stream);
    }
    let mut stream = connect(&daemon.socket());
    // Bytes after the frame do not prevent the response.
    stream
        .write_all(&[frame(&request(9, "{}")), vec![b'x'; 3000]].concat())
        .unwrap();
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    assert!(String::from_utf8_lossy(&text).contains("\"Status\":true"));
}
