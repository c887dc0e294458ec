//! An HTTP client that sends what it is told.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::harness::test_timeout;

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// The header fields; names in lower case.
    pub fields: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn parse(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").expect("the end of the head");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(": ").expect("a header field");
            (name.to_ascii_lowercase(), value.to_owned())
        });
        Answer {
            status: status.expect("a status").parse().unwrap(),
            fields: fields.collect(),
            body: body.to_owned(),
        }
    }

    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(test_timeout(60))).unwrap();
    stream.set_write_timeout(Some(test_timeout(60))).unwrap();
    stream
}

/// Sends a request and reads the answer up to the end of the connection.
pub fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> String {
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// A request over a connection of its own.
pub fn request(port: u16, method: &str, target: &str) -> Answer {
    let text = format!("{method} {target} HTTP/1.1\r\nHost: db\r\nConnection: close\r\n\r\n");
    Answer::parse(&exchange(&mut connect(port), text.as_bytes()))
}

/// The text of the metrics.
pub fn scrape(port: u16) -> String {
    let answer = request(port, "GET", "/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.field("content-length"),
        answer.body.len().to_string()
    );
    answer.body
}

/// The value of the sample with this name and these labels.
pub fn value(text: &str, sample: &str) -> Option<f64> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
    Some(value.parse().unwrap())
}
