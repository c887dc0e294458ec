//! The client against scripted servers that misbehave.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::config::{AuthMethods, Checkpoint, Host, TlsFiles, TlsMode};
use crate::crypto::Secret;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::Stop;
use crate::unit::{Lsn, Timeline};

/// A server that runs `script` for one client, and the login for it. The thread returns what the
/// client sent after the script.
fn server(script: impl FnOnce(&mut TcpStream) + Send + 'static) -> (Login, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        drop(listener);
        script(&mut socket);
        let mut rest = Vec::new();
        // A connection reset by the client ends it too.
        let _ = socket.read_to_end(&mut rest);
        rest
    });
    let login = Login {
        host: Host::Tcp("127.0.0.1".to_owned()),
        port,
        user: "repl".to_owned(),
        password: Some(Arc::new(Secret::new(b"secret".to_vec()))),
        application_name: "pgmoneta".to_owned(),
        tls: TlsMode::Off,
        tls_files: TlsFiles::default(),
        auth: AuthMethods {
            trust: true,
            ..AuthMethods::default()
        },
        keep_alive: true,
        nodelay: true,
        login_timeout: Duration::from_secs(20),
        read_timeout: Duration::from_secs(20),
    };
    (login, thread)
}

fn open(login: &Login) -> Result<Connection> {
    Connection::open(login, Mode::Sql, &Stop::new().unwrap())
}

fn failed_login(script: impl FnOnce(&mut TcpStream) + Send + 'static) -> (Error, Vec<u8>) {
    let (login, thread) = server(script);
    let failure = open(&login).err().expect("the log-in must fail");
    (failure, thread.join().unwrap())
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    let mut bytes = vec![tag];
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn send(socket: &mut TcpStream, bytes: &[u8]) {
    // The client may have closed the connection already, as some tests expect.
    let _ = socket.write_all(bytes);
}

fn receive_startup(socket: &mut TcpStream) {
    let mut length = [0; 4];
    socket.read_exact(&mut length).unwrap();
    let length = u32::from_be_bytes(length) as usize;
    socket.read_exact(&mut vec![0; length - 4]).unwrap();
}

fn receive(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut header = [0; 5];
    socket.read_exact(&mut header).unwrap();
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    let mut body = vec![0; length - 4];
    socket.read_exact(&mut body).unwrap();
    (header[0], body)
}

fn request(code: u32, data: &[u8]) -> Vec<u8> {
    message(b'R', &[&code.to_be_bytes(), data].concat())
}

const READY: &[u8] = b"Z\0\0\0\x05I";

/// Accepts the client without authentication.
fn accept_login(socket: &mut TcpStream, version: &str) {
    receive_startup(socket);
    let status = message(b'S', format!("server_version\0{version}\0").as_bytes());
    send(
        socket,
        &[&request(0, b""), status.as_slice(), READY].concat(),
    );
}

#[test]
fn invalid_message_lengths_are_rejected() {
    for length in [0u32, 3, 65_537, 0x7FFF_FFFF, 0xFFFF_FFFF] {
        let (failure, _) = failed_login(move |socket| {
            receive_startup(socket);
            send(socket, &[b"R".as_slice(), &length.to_be_bytes()].concat());
        });
        assert_eq!(failure.kind(), ErrorKind::Protocol, "{length}: {failure:?}");
    }
}

#[test]
fn a_truncated_message_is_a_network_error() {
    let (failure, _) = failed_login(|socket| {
        receive_startup(socket);
        send(socket, b"R\0\0\0\x08\0\0");
        socket.shutdown(std::net::Shutdown::Write).unwrap();
    });
    assert_eq!(failure.kind(), ErrorKind::Network, "{failure:?}");
}

#[test]
fn a_silent_server_is_a_timeout() {
    let (mut login, thread) = server(receive_startup);
    // Long enough for the startup message on any machine.
    login.login_timeout = Duration::from_secs(2);
    login.read_timeout = Duration::from_secs(3600);
    let failure = open(&login).err().unwrap();
    assert_eq!(failure.kind(), ErrorKind::Timeout, "{failure:?}");
    thread.join().unwrap();
}

#[test]
fn authentication_methods_that_are_not_permitted_get_no_answer() {
    for (code, data, name) in [
        (3, b"".as_slice(), "password"),
        (5, b"salt", "md5"),
        (2, b"", "request 2"),
        (7, b"", "request 7"),
        (9, b"", "request 9"),
        (99, b"", "request 99"),
    ] {
        let (failure, sent_after) = failed_login(move |socket| {
            receive_startup(socket);
            send(socket, &request(code, data));
        });
        assert_eq!(failure.kind(), ErrorKind::Authentication, "{failure:?}");
        assert!(failure.message().contains(name), "{failure:?}");
        assert!(failure.hint().is_some());
        assert_eq!(sent_after, b"", "{name}");
    }
}

#[test]
fn a_server_that_does_not_authenticate_is_rejected() {
    // Without TLS the server does not see the certificate.
    for cert in [false, true] {
        let (mut login, thread) = server(|socket| accept_login(socket, "17.2"));
        login.auth = AuthMethods {
            cert,
            ..AuthMethods::default()
        };
        login.tls_files.certificate = cert.then(|| "client.crt".into());
        let failure = open(&login).err().expect("the log-in must fail");
        assert_eq!(failure.kind(), ErrorKind::Authentication, "{failure:?}");
        assert!(failure.hint().unwrap().contains("auth = trust"));
        assert_eq!(thread.join().unwrap(), b"", "nothing is sent to it");
    }
}

#[test]
fn a_second_authentication_request_is_rejected() {
    let (failure, sent_after) = failed_login(|socket| {
        receive_startup(socket);
        scram(socket, |_| {}, |_| request(3, b""));
    });
    assert_eq!(failure.kind(), ErrorKind::Protocol, "{failure:?}");
    assert_eq!(sent_after, b"");
}

/// Runs SCRAM up to the server's final message, which `verdict` creates.
fn scram(
    socket: &mut TcpStream,
    challenge: impl FnOnce(&mut String),
    verdict: impl FnOnce(&str) -> Vec<u8>,
) {
    send(socket, &request(10, b"SCRAM-SHA-256\0\0"));
    let (tag, first) = receive(socket);
    assert_eq!(tag, b'p');
    let first = String::from_utf8_lossy(&first).into_owned();
    assert!(first.starts_with("SCRAM-SHA-256\0") && first.contains("n,,n=,r="));
    let nonce = first.split("r=").nth(1).unwrap();
    let mut text = format!("r={nonce}server,s=c2FsdHNhbHQ=,i=4096");
    challenge(&mut text);
    send(socket, &request(11, text.as_bytes()));
    let mut header = [0; 1];
    if socket.peek(&mut header).unwrap_or(0) == 1 {
        receive(socket);
        send(socket, &verdict(&text));
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_rejected() {
    let signature = b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let verdicts: [(&[u8], u32); 4] = [
        (signature, 12),
        (b"v=", 12),
        (b"e=other-error", 12),
        // AuthenticationOk before the end of the exchange.
        (b"", 0),
    ];
    for (data, code) in verdicts {
        let (failure, _) = failed_login(move |socket| {
            receive_startup(socket);
            scram(socket, |_| {}, |_| request(code, data));
        });
        assert_eq!(failure.kind(), ErrorKind::Authentication, "{failure:?}");
        assert!(failure.hint().unwrap().contains("not be the server"));
    }
}

#[test]
fn an_invalid_scram_challenge_is_rejected() {
    let changes: [fn(&mut String); 4] = [
        |text| *text = text.replace("r=", "r=x"),
        |text| *text = text.replace("i=4096", "i=4000000000"),
        |text| *text = text.replace("s=", "s=!"),
        |text| text.clear(),
    ];
    for change in changes {
        let begun = Instant::now();
        let (failure, sent_after) = failed_login(move |socket| {
            receive_startup(socket);
            scram(socket, change, |_| panic!("the client goes on"));
        });
        assert_eq!(failure.kind(), ErrorKind::Authentication, "{failure:?}");
        assert_eq!(sent_after, b"");
        // The key derivation would take an hour.
        assert!(begun.elapsed() < Duration::from_secs(300));
    }
}

#[test]
fn a_server_without_scram_sha_256_is_rejected() {
    for offered in [
        b"SCRAM-SHA-1\0\0".as_slice(),
        b"SCRAM-SHA-256-PLUS\0\0",
        b"\0",
    ] {
        let (failure, sent_after) = failed_login(move |socket| {
            receive_startup(socket);
            send(socket, &request(10, offered));
        });
        assert_eq!(failure.kind(), ErrorKind::Authentication, "{failure:?}");
        assert_eq!(sent_after, b"");
    }
}

#[test]
fn nothing_is_sent_in_clear_text_if_tls_is_required() {
    let answers: [(&[u8], &str); 4] = [
        (b"N", "does not offer TLS"),
        (b"E\0\0\0\x0aSFATAL\0\0", "does not offer TLS"),
        (b"SR\0\0\0\x08\0\0\0\0", "bytes in clear"),
        (b"S", "closed the connection"),
    ];
    for (answer, words) in answers {
        let (mut login, thread) = server(move |socket| {
            let mut asked = [0; 8];
            socket.read_exact(&mut asked).unwrap();
            assert_eq!(asked, [0, 0, 0, 8, 4, 210, 22, 47]);
            send(socket, answer);
            // Fails if the client has closed the connection already.
            let _ = socket.shutdown(std::net::Shutdown::Write);
        });
        login.tls = TlsMode::On;
        let failure = open(&login).err().unwrap();
        assert!(failure.message().contains(words), "{failure:?}");
        let sent_after = thread.join().unwrap();
        let clear = sent_after.windows(4).any(|four| four == b"repl");
        assert!(!clear, "{sent_after:?}");
    }
}

/// A query that the server answers with `answer`.
fn run_query(answer: Vec<u8>) -> (Result<Vec<Row>>, Connection, JoinHandle<Vec<u8>>) {
    let (login, thread) = server(move |socket| {
        accept_login(socket, "17.2");
        assert_eq!(receive(socket), (b'Q', b"SELECT 1\0".to_vec()));
        send(socket, &answer);
    });
    let mut connection = open(&login).unwrap();
    let rows = connection.query("SELECT 1");
    (rows, connection, thread)
}

#[test]
fn malformed_answers_are_errors_and_make_the_connection_unusable() {
    let wrong: [Vec<u8>; 6] = [
        message(b'D', b"\0\x01\0\0\0\x09x"),
        message(b'W', b"\0\0\0"),
        message(b'H', b"\0\0\0"),
        message(b'?', b""),
        message(b'N', b"Sno end"),
        [message(b'D', b"\0\x01\0\0\0\x01\xff"), READY.to_vec()].concat(),
    ];
    for answer in wrong {
        let complete = answer.ends_with(READY);
        let (rows, mut connection, thread) = run_query(answer);
        assert_eq!(rows.unwrap_err().kind(), ErrorKind::Protocol);
        if !complete {
            let failure = connection.query("SELECT 1").unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Internal, "{failure:?}");
        }
        drop(connection);
        // Only Terminate was sent.
        assert_eq!(thread.join().unwrap(), message(b'X', b""));
    }
}

#[test]
fn an_endless_answer_is_an_error() {
    let row = message(
        b'D',
        &[&b"\0\x01\0\x10\0\0"[..], &vec![b'x'; 1 << 20]].concat(),
    );
    let (rows, connection, thread) = run_query(row.repeat(80));
    let failure = rows.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Protocol);
    assert!(failure.message().contains("too long"), "{failure:?}");
    drop(connection);
    thread.join().unwrap();
}

#[test]
fn asynchronous_messages_are_accepted_within_an_answer() {
    let answer = [
        message(b'N', b"SWARNING\0VWARNING\0C01000\0Mcareful\0\0"),
        message(b'S', b"TimeZone\0UTC\0"),
        message(b'T', b"\0\0"),
        message(b'D', b"\0\x01\0\0\0\x011"),
        message(b'A', b"\0\0\0\0a\0b\0"),
        message(b'C', b"SELECT 1\0"),
        READY.to_vec(),
    ];
    let (rows, connection, thread) = run_query(answer.concat());
    assert_eq!(rows.unwrap(), [Row(vec![Some("1".to_owned())])]);
    drop(connection);
    thread.join().unwrap();
}

#[test]
fn an_invalid_server_version_is_rejected() {
    let (failure, _) = failed_login(|socket| accept_login(socket, "PostgreSQL"));
    assert_eq!(failure.kind(), ErrorKind::Protocol, "{failure:?}");
}

/// Replication of what the server sends after CopyBothResponse.
fn replicate(sent: Vec<u8>) -> (Replication, JoinHandle<Vec<u8>>) {
    let (login, thread) = server(move |socket| {
        accept_login(socket, "17.2");
        receive(socket);
        send(socket, &[message(b'W', b"\0\0\0"), sent].concat());
        socket.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let connection = Connection::open(&login, Mode::Replication, &Stop::new().unwrap()).unwrap();
    let replication = Replication::start(connection, "slot", Timeline::FIRST, Lsn(0)).unwrap();
    (replication, thread)
}

fn wal(start: u64, bytes: &[u8]) -> Vec<u8> {
    let header = [&b"w"[..], &start.to_be_bytes(), &[0; 16]].concat();
    message(b'd', &[&header, bytes].concat())
}

#[test]
fn wal_messages_of_all_sizes_are_received_completely() {
    let mut sent = Vec::new();
    let mut position = 0u64;
    // Some are longer than the buffer, which then grows.
    for length in [
        1,
        0,
        131_072,
        131_071,
        7,
        1 << 20,
        3,
        500_000,
        131_072,
        131_072,
        131_072,
    ] {
        let bytes: Vec<u8> = (position..position + length)
            .map(|n| (n % 251) as u8)
            .collect();
        sent.extend(wal(position, &bytes));
        position += length;
    }
    let (mut replication, thread) = replicate(sent);
    let mut received = 0;
    while received < position {
        match replication.next(Duration::from_secs(20)).unwrap() {
            Event::Wal { start, bytes, .. } => {
                assert_eq!(start, Lsn(received));
                for byte in bytes {
                    assert_eq!(u64::from(*byte), received % 251);
                    received += 1;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(replication.has_more().unwrap());
    let failure = replication.next(Duration::from_secs(20)).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Network, "{failure:?}");
    drop(replication);
    thread.join().unwrap();
}

#[test]
fn the_end_of_the_stream_is_a_network_error() {
    let ends = [
        message(b'C', b"COPY 0\0"),
        message(b'E', b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"),
        Vec::new(),
    ];
    for end in ends {
        let (mut replication, thread) = replicate(end);
        let failure = replication.next(Duration::from_secs(20)).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Network, "{failure:?}");
        replication.close();
        let sent_after = thread.join().unwrap();
        assert_eq!(
            sent_after,
            [message(b'c', b""), message(b'X', b"")].concat()
        );
    }
}

#[test]
fn malformed_replication_messages_are_rejected() {
    for sent in [
        message(b'd', b""),
        message(b'd', b"w123"),
        message(b'd', b"x"),
        message(b'T', b""),
    ] {
        let (mut replication, thread) = replicate(sent);
        let failure = replication.next(Duration::from_secs(20)).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Protocol, "{failure:?}");
        drop(replication);
        thread.join().unwrap();
    }
}

#[test]
fn a_partial_message_is_not_an_event() {
    let (login, thread) = server(|socket| {
        accept_login(socket, "17.2");
        receive(socket);
        let whole = wal(0, b"abc");
        send(
            socket,
            &[message(b'W', b"\0\0\0"), whole[..9].to_vec()].concat(),
        );
        // The client signals that it has seen the first part.
        receive(socket);
        send(socket, &whole[9..]);
    });
    let connection = Connection::open(&login, Mode::Replication, &Stop::new().unwrap()).unwrap();
    let mut replication = Replication::start(connection, "", Timeline::FIRST, Lsn(0)).unwrap();
    while !replication.has_more().unwrap() {}
    assert_eq!(
        replication.next(Duration::from_millis(20)).unwrap(),
        Event::Timeout
    );
    assert!(replication.has_more().unwrap());
    let nothing = crate::storage::no_durable_position();
    replication.send_status_update(nothing, true).unwrap();
    let event = replication.next(Duration::from_secs(20)).unwrap();
    assert!(
        matches!(event, Event::Wal { bytes: b"abc", .. }),
        "{event:?}"
    );
    assert!(!replication.has_more().unwrap());
    drop(replication);
    thread.join().unwrap();
}

/// A base backup of a data directory and tablespace 77; `copy` is what the server sends.
fn base_backup(version: &'static str, copy: Vec<u8>) -> (BaseBackup, JoinHandle<Vec<u8>>) {
    let (login, thread) = server(move |socket| {
        accept_login(socket, version);
        assert_eq!(receive(socket).0, b'Q');
        let answer = [
            message(b'T', b"\0\0"),
            message(b'D', b"\0\x02\0\0\0\x090/2000028\0\0\0\x011"),
            message(b'C', b"SELECT\0"),
            message(b'T', b"\0\0"),
            message(b'D', b"\0\x03\0\0\0\x0277\0\0\0\x04/spc\0\0\0\x011"),
            message(b'D', b"\0\x03\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x012"),
            message(b'C', b"SELECT\0"),
            copy,
        ];
        send(socket, &answer.concat());
        socket.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let connection = Connection::open(&login, Mode::Replication, &Stop::new().unwrap()).unwrap();
    let options = BaseBackupOptions {
        label: "x".to_owned(),
        checkpoint: Checkpoint::Fast,
        max_rate: None,
    };
    let backup = BaseBackup::start(connection, &options).unwrap();
    assert_eq!(backup.start_position(), Timeline::FIRST.at(Lsn(0x200_0028)));
    assert_eq!(backup.tablespaces().len(), 2);
    assert_eq!(backup.tablespaces()[1].size, Some(2048));
    (backup, thread)
}

/// The size limit for the manifest in the tests.
const MAX_MANIFEST: usize = 1000;

/// The OID and the bytes of an archive.
type ReceivedArchive = (Option<u32>, Vec<u8>);

/// Reads a base backup to its end: each archive, and the manifest.
fn read(mut backup: BaseBackup) -> Result<(Vec<ReceivedArchive>, Vec<u8>)> {
    let mut archives = Vec::new();
    while let Some(mut archive) = backup.next_archive()? {
        let mut bytes = Vec::new();
        archive.read_to_end(&mut bytes)?;
        archives.push((archive.1.oid, bytes));
    }
    let manifest = backup.manifest(MAX_MANIFEST)?;
    assert_eq!(backup.finish()?.0, Timeline::FIRST.at(Lsn(0x200_0100)));
    Ok((archives, manifest))
}

fn end() -> Vec<u8> {
    [
        message(b'T', b"\0\0"),
        message(b'D', b"\0\x02\0\0\0\x090/2000100\0\0\0\x011"),
        message(b'C', b"SELECT\0"),
        message(b'C', b"BASE_BACKUP\0"),
        READY.to_vec(),
    ]
    .concat()
}

fn begin() -> Vec<u8> {
    message(b'H', b"\0\0\0")
}

fn typed(parts: &[&[u8]]) -> Vec<u8> {
    let data: Vec<u8> = parts.iter().flat_map(|part| message(b'd', part)).collect();
    [begin(), data, message(b'c', b""), end()].concat()
}

#[test]
fn both_formats_of_a_base_backup_give_the_same_result() {
    let parts: [&[u8]; 9] = [
        b"n77.tar\0/spc\0",
        b"dab",
        b"p\0\0\0\0\0\0\0\x01",
        b"d",
        b"dc",
        b"nbase.tar\0\0",
        b"dmain",
        b"m",
        b"d{}",
    ];
    let one = |data: &[u8]| [begin(), message(b'd', data), message(b'c', b"")].concat();
    let copies = [one(b"abc"), one(b"main"), one(b"{}"), end()].concat();
    for (version, copy) in [
        ("15.1", typed(&parts)),
        ("18.0", typed(&parts)),
        ("14.9", copies),
    ] {
        let (backup, thread) = base_backup(version, copy);
        let (archives, manifest) = read(backup).unwrap();
        let expected = [(Some(77), b"abc".to_vec()), (None, b"main".to_vec())];
        assert_eq!(archives, expected, "{version}");
        assert_eq!(manifest, b"{}", "{version}");
        thread.join().unwrap();
    }
}

#[test]
fn an_endless_manifest_is_an_error() {
    let long = [b"d", &vec![b' '; MAX_MANIFEST + 1][..]].concat();
    let parts: [&[u8]; 4] = [b"n77.tar\0/spc\0", b"nbase.tar\0\0", b"m", &long];
    let (backup, thread) = base_backup("17.2", typed(&parts));
    let failure = read(backup).unwrap_err();
    assert!(failure.message().contains("longer than"), "{failure:?}");
    thread.join().unwrap();
}

#[test]
fn archives_out_of_order_are_rejected() {
    let wrong: [&[&[u8]]; 9] = [
        &[b"nbase.tar\0\0", b"dx", b"m", b"d{}"],
        &[b"nbase.tar\0\0", b"nbase.tar\0\0"],
        &[b"n78.tar\0/other\0"],
        &[b"nbase.tar"],
        &[b"dx"],
        &[b"m"],
        &[b"?"],
        &[b""],
        &[b"n77.tar\0/spc\0", b"dx", b"nbase.tar\0\0", b"dy"],
    ];
    for parts in wrong {
        let (backup, thread) = base_backup("17.2", typed(parts));
        let failure = read(backup).unwrap_err();
        assert_eq!(
            failure.kind(),
            ErrorKind::Protocol,
            "{parts:?}: {failure:?}"
        );
        thread.join().unwrap();
    }
}

#[test]
fn an_error_or_the_end_within_an_archive_is_an_error() {
    let start = [
        begin(),
        message(b'd', b"n77.tar\0/spc\0"),
        message(b'd', b"dab"),
    ]
    .concat();
    let gone = message(b'E', b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0");
    let error = message(b'E', b"SERROR\0VERROR\0C58030\0Mcould not read file\0\0");
    for (tail, kind) in [
        (Vec::new(), ErrorKind::Network),
        (gone, ErrorKind::Network),
        (error, ErrorKind::Server),
        (message(b'c', b""), ErrorKind::Protocol),
    ] {
        let (backup, thread) = base_backup("17.2", [start.clone(), tail].concat());
        let failure = read(backup).unwrap_err();
        assert_eq!(failure.kind(), kind, "{failure:?}");
        thread.join().unwrap();
    }
}

#[test]
fn an_archive_must_be_read_to_its_end() {
    let parts: [&[u8]; 6] = [
        b"n77.tar\0/spc\0",
        b"dab\0\0",
        b"d\0\0",
        b"nbase.tar\0\0",
        b"m",
        b"d{}",
    ];
    for (count, whole) in [(1, false), (2, true), (3, true)] {
        let (mut backup, thread) = base_backup("17.2", typed(&parts));
        let mut archive = backup.next_archive().unwrap().unwrap();
        archive.read_exact(&mut vec![0; count]).unwrap();
        let next = backup
            .next_archive()
            .map(|archive| archive.map(|archive| archive.1.oid));
        match next {
            Ok(oid) => assert!(whole && oid == Some(None)),
            Err(failure) => assert!(!whole && failure.kind() == ErrorKind::Internal),
        }
        drop(backup);
        thread.join().unwrap();
    }
}

#[test]
fn calls_out_of_order_are_rejected() {
    let parts: [&[u8]; 4] = [b"n77.tar\0/spc\0", b"nbase.tar\0\0", b"m", b"d{}"];
    let (mut backup, thread) = base_backup("17.2", typed(&parts));
    assert_eq!(
        backup.manifest(MAX_MANIFEST).unwrap_err().kind(),
        ErrorKind::Internal
    );
    assert_eq!(backup.finish().unwrap_err().kind(), ErrorKind::Internal);
    thread.join().unwrap();
}

proptest! {
    #[test]
    fn parsers_never_panic(bytes: Vec<u8>) {
        let _ = server_error::ServerError::parse(&bytes);
        let _ = query::data_row_text(&bytes);
        let mut body = wire::Body(&bytes);
        while body.cstr().is_ok() {}
    }
}

/// Sends `bytes` endlessly.
fn flood(socket: &mut TcpStream, bytes: &[u8]) {
    let many = bytes.repeat(1000);
    while socket.write_all(&many).is_ok() {}
}

/// Runs a client with a timeout of one second.
fn with_short_timeout<T: Send + 'static>(
    script: impl FnOnce(&mut TcpStream) + Send + 'static,
    client: impl FnOnce(Login) -> T + Send + 'static,
) -> T {
    let (mut login, _) = server(script);
    let wait = Duration::from_secs(1);
    (login.login_timeout, login.read_timeout) = (wait, wait);
    let (sender, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(client(login)));
    result
        .recv_timeout(Duration::from_secs(120))
        .expect("it must not wait longer than it may")
}

#[test]
fn an_endless_stream_of_messages_is_a_timeout() {
    const NOTICE: &[u8] = b"SNOTICE\0VNOTICE\0C00000\0Mon and on\0\0";
    let notice = message(b'N', NOTICE);
    let setting = message(b'S', b"TimeZone\0UTC\0");
    for (accepts, bytes) in [(false, notice.clone()), (true, setting)] {
        let talk = move |socket: &mut TcpStream| {
            receive_startup(socket);
            if accepts {
                send(socket, &request(0, b""));
            }
            flood(socket, &bytes);
        };
        let failure = with_short_timeout(talk, |login| open(&login).err().unwrap());
        assert_eq!(failure.kind(), ErrorKind::Timeout, "{failure:?}");
    }
    for bytes in [
        notice.clone(),
        message(b'T', b"\0\0"),
        message(b'C', b"x\0"),
    ] {
        let talk = move |socket: &mut TcpStream| {
            accept_login(socket, "17.2");
            receive(socket);
            flood(socket, &bytes);
        };
        let failure = with_short_timeout(talk, |login| {
            open(&login).unwrap().query("SELECT 1").unwrap_err()
        });
        assert_eq!(failure.kind(), ErrorKind::Timeout, "{failure:?}");
    }
    let talk = move |socket: &mut TcpStream| {
        accept_login(socket, "17.2");
        receive(socket);
        send(socket, &message(b'W', b"\0\0\0"));
        flood(socket, &notice);
    };
    let quiet = with_short_timeout(talk, |login| {
        let stop = Stop::new().unwrap();
        let connection = Connection::open(&login, Mode::Replication, &stop).unwrap();
        let start = Lsn(0x100_0000);
        let mut replication = Replication::start(connection, "", Timeline::FIRST, start).unwrap();
        replication.next(Duration::from_secs(1)).unwrap() == Event::Timeout
    });
    assert!(quiet);
}
