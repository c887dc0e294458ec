//! What a client of the HTTP port sends.

#![allow(clippy::unwrap_used)] // as in tests

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

use super::request::{Method, Next, Request, RequestReader};
use crate::net::{Deadline, Stream};
use crate::sys::Stop;

/// More bytes may not fit into the buffer of a socket.
const MAX_INPUT: usize = 64 << 10;
/// Never reached: the stream ends first.
const WAIT: Duration = Duration::from_secs(60);

/// The bytes as requests: each is as one that is written with what was read.
pub fn http(input: &[u8]) {
    if input.len() > MAX_INPUT {
        return;
    }
    for request in requests(input) {
        assert!(request.target.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!request.path().contains('?'), "{request:?}");
        let written = requests(&text(&request));
        // A target with `://` in it is one of absolute form.
        let absolute = request.target.contains("://");
        assert!(absolute || written == [request], "{written:?}");
    }
}

fn requests(input: &[u8]) -> Vec<Request> {
    static STOP: OnceLock<Stop> = OnceLock::new();
    let stop = STOP.get_or_init(|| Stop::new().unwrap());
    let (socket, mut client) = UnixStream::pair().unwrap();
    client.set_nonblocking(true).unwrap();
    client.write_all(input).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut stream = Stream::from_unix(socket, stop.clone()).unwrap();
    let mut reader = RequestReader::default();
    let mut all = Vec::new();
    let deadline = Deadline::after(WAIT);
    while let Ok(Next::Request(request)) = reader.next(&mut stream, deadline, || deadline) {
        all.push(request);
        assert!(all.len() <= input.len(), "more requests than bytes");
    }
    all
}

fn text(request: &Request) -> Vec<u8> {
    let method = match request.method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Other => "POST",
    };
    let target = &request.target;
    let (version, host) = match &request.host {
        Some(host) => ("1.1", format!("Host: {host}\r\n")),
        None => ("1.0", String::new()),
    };
    let connection = if request.keep_alive {
        "keep-alive"
    } else {
        "close"
    };
    format!("{method} {target} HTTP/{version}\r\n{host}Connection: {connection}\r\n\r\n")
        .into_bytes()
}
