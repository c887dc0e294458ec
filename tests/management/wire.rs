//! A client of the management socket that sends raw bytes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::harness::test_timeout;

/// Connects to a daemon.
pub fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(test_timeout(60))).unwrap();
    stream.set_write_timeout(Some(test_timeout(60))).unwrap();
    stream
}

/// A frame with a document that is neither compressed nor encrypted.
pub fn frame(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [&[0, 0], &length.to_be_bytes()[..], text.as_bytes()].concat()
}

/// The document in the single frame that the daemon sends before it closes; empty if it sends
/// nothing.
pub fn read_response(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    if bytes.is_empty() {
        return String::new();
    }
    let (header, text) = bytes.split_at(6);
    assert_eq!(header[..2], [0, 0], "neither compressed nor encrypted");
    let length = u32::from_be_bytes(header[2..].try_into().unwrap());
    assert_eq!(
        length as usize,
        text.len(),
        "one frame, and nothing after it"
    );
    String::from_utf8(text.to_vec()).unwrap()
}

/// Sends bytes, and returns the response.
pub fn exchange(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = connect(socket);
    stream.write_all(bytes).unwrap();
    read_response(&mut stream)
}

/// Sends a document, and returns the response document.
pub fn exchange_json(socket: &Path, document: &str) -> Value {
    let text = exchange(socket, &frame(document));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

/// A request document with the minimal header.
pub fn request(command: u32, request: &str) -> String {
    format!(r#"{{"Header":{{"Command":{command}}},"Request":{request}}}"#)
}

/// The error code of a response; 0 if there is none.
pub fn error_code(document: &Value) -> u64 {
    let outcome = &document["Outcome"];
    assert_eq!(
        outcome["Status"],
        Value::Bool(outcome.get("Error").is_none()),
        "{document}"
    );
    outcome["Error"].as_u64().unwrap_or(0)
}
