//! Clients that send garbage, too little, or nothing.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use pgmoneta::protocol::login::{sasl_initial_response, startup};

use super::setup::{ADMIN, Remote, message, refusal, rest};
use crate::harness::Scratch;

#[test]
fn clients_that_send_garbage_or_nothing_disturb_nobody() {
    let scratch = Scratch::new("remote-hostile");
    let remote = Remote::start(&scratch, "");
    garbage_ends_the_connection_of_its_sender(&remote);
    idle_and_slow_clients_keep_nobody_out(&remote);
    let mut daemon = remote.daemon;
    daemon.stop();
}

fn garbage_ends_the_connection_of_its_sender(remote: &Remote) {
    let long = [&b"\0\0\x27\x10\0\x03\0\0"[..], &[b'x'; 9_992]].concat();
    for (case, bytes, answer) in [
        ("HTTP", &b"GET / HTTP/1.1\r\n\r\n"[..], &b""[..]),
        ("nothing", b"", b""),
        ("one byte", b"\0", b""),
        ("a short length", b"\0\0\0\x07\0\x03\0", b""),
        ("a length of 4 GiB", b"\xff\xff\xff\xff\0\x03\0\0", b""),
        ("no end", b"\0\0\0\x0c\0\x03\0\0user", b""),
        ("no zero byte in 10 kB", &long, b""),
        ("version 2", b"\0\0\0\x08\0\x02\0\0", &refusal()),
        (
            "a cancel request",
            b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x01",
            &refusal(),
        ),
        ("TLS", b"\x16\x03\x01\0\x05\x01\0\0\x01\0", b""),
        (
            "TLS twice",
            b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x08\x04\xd2\x16\x2f",
            b"N",
        ),
    ] {
        let mut stream = remote.connect();
        // The daemon may have closed it by then.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let received = rest(&mut stream);
        assert!(received.starts_with(answer), "{case}: {received:?}");
        assert!(!received.is_empty() || answer.is_empty(), "{case}");
    }
    // In place of the SCRAM messages.
    let right = sasl_initial_response("n,,n=,r=abc");
    for bytes in [
        &b"p\0\0\0\0"[..],
        b"p\0\0\0\x03",
        b"p\xff\xff\xff\xff",
        b"p\0\0\x10\x05",
        b"Q\0\0\0\x05x",
        b"p\0\0\0\x08SCRA",
        &sasl_initial_response("n,,n=,r=a\0b"),
        &sasl_initial_response("p=tls-unique,,n=,r=abc"),
        &sasl_initial_response(&format!("n,,n=,r={}", "x".repeat(4000))),
        &[&right[..], &right].concat(),
    ] {
        let mut stream = remote.connect();
        stream.write_all(&startup(ADMIN).unwrap()).unwrap();
        message(&mut stream);
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let received = rest(&mut stream);
        assert!(received.ends_with(&refusal()), "{bytes:?}: {received:?}");
        // Otherwise the next login of this address would be delayed.
        remote.log_in();
    }
    remote.cli(&["ping"]).ok();
}

/// Each client may wait ten minutes here: none of them would have ended by itself.
fn idle_and_slow_clients_keep_nobody_out(remote: &Remote) {
    let mut clients: Vec<TcpStream> = Vec::new();
    for number in 0..300 {
        let mut stream = remote.connect();
        let greeting = startup(ADMIN).unwrap();
        stream
            .write_all(&greeting[..number % greeting.len()])
            .unwrap();
        clients.push(stream);
    }
    for _ in 0..3 {
        remote.cli(&["ping"]).ok();
    }
    remote.daemon.cli(&["ping"]).ok();
    // Whatever clients do, the log has a line a minute.
    let log = remote.daemon.log();
    let lines = log.lines().filter(|line| line.contains("; the last: "));
    assert!((1..10).contains(&lines.count()), "{log}");
}
