//! Slow and hostile clients.

use std::io::{Read, Write};

use super::client::{Answer, connect, exchange, request, scrape};

/// Half open, slow to send, slow to read: none keeps others out.
pub fn all_are_served_beside_slow_ones(port: u16) {
    let mut slow = Vec::new();
    for number in 0..150 {
        let mut stream = connect(port);
        // A connection that has had to give way may be closed already.
        let _ = match number % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"GET /metrics HT"),
            _ => stream.write_all(&b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50)),
        };
        slow.push(stream);
    }
    for _ in 0..5 {
        assert!(scrape(port).contains("\npgmoneta_state 1\n"));
    }
    // One that keeps its connection gets all answers over it.
    let mut kept = connect(port);
    for _ in 0..3 {
        let request = b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        kept.write_all(request).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            kept.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let answer = Answer::parse(std::str::from_utf8(&head).unwrap());
        assert_eq!(
            (answer.status, answer.field("connection")),
            (200, "keep-alive")
        );
        assert!(answer.field("content-length").parse::<u64>().unwrap() > 1000);
    }
}

pub fn each_request_gets_its_answer(port: u16) {
    let page = request(port, "GET", "/metrics?collect[]=x");
    assert_eq!(
        page.field("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert!(page.field("date").ends_with(" GMT"), "{page:?}");
    let head = request(port, "HEAD", "/index.html");
    assert!(head.status == 200 && head.body.is_empty());
    let long = format!("/{}", "a".repeat(1 << 20));
    for (method, target, status) in [
        ("GET", "/metrics/", 404),
        ("GET", "/..%2fetc/passwd", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/", 405),
        ("GET", long.as_str(), 414),
    ] {
        let answer = request(port, method, target);
        assert_eq!(answer.status, status, "{method} {:.40}", target);
        assert_eq!(
            answer.field("allow"),
            if status == 405 { "GET, HEAD" } else { "" }
        );
    }
    let field = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "a".repeat(1 << 20)
    );
    for (bytes, status) in [
        (field.as_bytes(), 431),
        (b"\x16\x03\x01\0\0\x01\r\n\r\n", 400),
    ] {
        let answer = Answer::parse(&exchange(&mut connect(port), bytes));
        assert_eq!(answer.status, status);
    }
}
