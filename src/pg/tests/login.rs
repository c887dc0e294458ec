//! Logging in.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::server::*;
use crate::config::{AuthMethods, TlsMode};
use crate::error::ErrorKind;

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

#[test]
fn an_invalid_server_version_is_rejected() {
    let (failure, _) = failed_login(|socket| accept_login(socket, "PostgreSQL"));
    assert_eq!(failure.kind(), ErrorKind::Protocol, "{failure:?}");
}
