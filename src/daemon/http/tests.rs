//! The server over a pair of sockets.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::{Connection, ContentType, Limits, Request, Response};
use crate::net::{Deadline, Stream};
use crate::sys::Stop;

const LONG: Duration = Duration::from_secs(600);

/// What the server sends for `input`, after which the client sends no more.
fn answer_to(input: &[u8]) -> String {
    serve(input, LONG, true)
}

fn serve(input: &[u8], limit: Duration, ends: bool) -> String {
    let (server, mut client) = UnixStream::pair().unwrap();
    let thread = std::thread::spawn(move || {
        let mut stream = Stream::from_unix(server, Stop::new().unwrap()).unwrap();
        let limits = Limits {
            request: limit,
            response: LONG,
            idle: limit,
        };
        let connection = Connection {
            stream: &mut stream,
            limits,
            first: Deadline::after(limit),
            waits: &|| true,
        };
        let served = connection.serve(&|request: &Request| {
            let text = format!("{:?} {}", request.method, request.target);
            Response::ok(ContentType::Text, text.into())
        });
        served.unwrap();
    });
    let mut writer = client.try_clone().unwrap();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || {
        // The server may close first.
        let _ = writer.write_all(&input);
        if ends {
            let _ = writer.shutdown(std::net::Shutdown::Write);
        }
    });
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    writing.join().unwrap();
    thread.join().unwrap();
    String::from_utf8(answer).unwrap()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("nothing")
}

#[test]
fn requests_are_answered_one_after_the_other_until_one_ends_the_connection() {
    let answer = answer_to(
        b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\nHEAD /d HTTP/1.1\r\nHost: x\r\n\r\n\
          GET http://x:1/e HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\nGET /f HTTP/1.1\r\n",
    );
    assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{answer}");
    assert_eq!(answer.matches("Connection: keep-alive\r\n").count(), 2);
    assert!(answer.contains("\r\nContent-Length: 10\r\n") && answer.contains("\r\n\r\nGet /a?b=c"));
    assert!(answer.contains("\r\nContent-Length: 7\r\n") && !answer.contains("Head /d"));
    assert!(answer.ends_with("\r\n\r\nGet /e"), "{answer}");
    assert!(answer.contains(" GMT\r\n"));
    let old = answer_to(b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.matches("200 OK").count(), 1, "{old}");
    let kept = answer_to(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
    assert_eq!(kept.matches("200 OK").count(), 2, "{kept}");
}

#[test]
fn a_body_is_not_taken_for_the_next_request() {
    for field in ["Content-Length: 18", "Transfer-Encoding: chunked"] {
        let text = format!("POST /a HTTP/1.1\r\nHost: x\r\n{field}\r\n\r\nGET /b HTTP/1.0\r\n\r\n");
        let answer = answer_to(text.as_bytes());
        assert!(
            answer.ends_with("Other /a") && !answer.contains("/b"),
            "{answer}"
        );
        assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    }
}

#[test]
fn what_is_no_request_is_answered_with_its_status() {
    let mut long_path = b"GET /".to_vec();
    long_path.extend(vec![b'a'; 1 << 20]);
    let mut long_field = b"GET / HTTP/1.1\r\nHost: x\r\nA: ".to_vec();
    long_field.extend(vec![b'a'; 1 << 20]);
    let mut many_fields = b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec();
    many_fields.extend(b"A: b\r\n".repeat(200));
    many_fields.extend(b"\r\n");
    let cases: [(&[u8], &str); 13] = [
        (&long_path, "414"),
        (&long_field, "431"),
        (&many_fields, "431"),
        (b"\0\x01\x02\xff\xfe\r\n\r\n", "400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "400"),
        (b"GET\r\n\r\n", "400"),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505"),
        (b"GET / HTTP/1.1\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        (b"", "nothing"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", "nothing"),
    ];
    for (input, expected) in cases {
        let answer = answer_to(input);
        let shown = String::from_utf8_lossy(&input[..input.len().min(60)]);
        assert_eq!(status(&answer), expected, "{shown:?}: {answer}");
        assert!(
            answer.is_empty() || answer.contains("Connection: close\r\n"),
            "{answer}"
        );
    }
}

#[test]
fn a_client_that_is_slow_to_send_is_not_waited_for() {
    let limit = Duration::from_millis(50);
    assert_eq!(serve(b"", limit, false), "");
    assert_eq!(
        status(&serve(b"GET / HTTP/1.1\r\nHost", limit, false)),
        "408"
    );
}

#[test]
fn every_prefix_of_a_request_and_every_changed_byte_has_an_answer_or_none() {
    let input = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for end in 0..input.len() {
        assert_eq!(answer_to(&input[..end]), "", "{end}");
    }
    for at in 0..input.len() {
        for byte in [0, b' ', b'\n', b':', 0xff] {
            let mut changed = input.to_vec();
            changed[at] = byte;
            let answer = answer_to(&changed);
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 "),
                "{at} {byte}: {answer}"
            );
        }
    }
}
