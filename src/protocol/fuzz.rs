//! Frames and documents of any bytes.

#![allow(clippy::unwrap_used)] // as in tests

use std::sync::OnceLock;

use super::{Cause, Envelope, Frame, FrameLimits, Members, Request, RequestError, Response, json};
use crate::crypto::MasterKey;
use crate::error::{Error, ErrorKind, Result};
use crate::unit::first;

const LIMITS: FrameLimits = FrameLimits::REQUEST;

/// The bytes as a frame, and as a document.
pub fn management(input: &[u8]) {
    frame(input);
    if let Ok(text) = std::str::from_utf8(input) {
        document(text);
    }
}

fn key() -> &'static MasterKey {
    static KEY: OnceLock<MasterKey> = OnceLock::new();
    KEY.get_or_init(|| MasterKey::for_tests(1))
}

/// The frame at the start of `input`, received in pieces of at most `most` bytes, and its length.
fn receive(input: &[u8], most: usize) -> Result<(Frame, usize)> {
    let mut rest = input;
    let mut read = |buffer: &mut [u8]| {
        let limit = buffer.len().min(most);
        let mut piece = buffer;
        match piece.split_off_mut(..limit) {
            Some(start) => Ok(std::io::Read::read(&mut rest, start)?),
            None => Ok(0),
        }
    };
    let frame = Frame::read(&mut read, LIMITS)?;
    Ok((frame, input.len() - rest.len()))
}

fn frame(input: &[u8]) {
    let received = receive(input, usize::MAX).ok();
    assert_eq!(receive(input, 7).ok(), received, "in pieces");
    let Some((frame, length)) = received else {
        return;
    };
    assert_eq!(frame.bytes().ok().as_deref(), Some(first(input, length)));
    let Ok(text) = frame.decode(Some(key()), LIMITS) else {
        return;
    };
    assert!(text.len() <= LIMITS.document, "too long");
    let codec = frame.codec().unwrap();
    let again = Frame::encode(&text, codec, Some(key())).unwrap();
    assert_eq!(again.decode(Some(key()), LIMITS).unwrap(), text);
    document(&text);
}

fn document(text: &str) {
    if let Ok(envelope) = Envelope::read(text) {
        request(&envelope);
    }
    if let Ok(response) = Response::read(text) {
        let sent = response.text().unwrap();
        let received = Response::read(&sent).unwrap();
        assert_eq!(received.text().unwrap(), sent);
        // What a user sees is JSON as everybody reads it.
        let pretty = json::pretty(received.document()).unwrap();
        let strict: Members = serde_json::from_str(&pretty).unwrap();
        assert_eq!(json::compact(&strict).unwrap(), sent);
    }
}

fn request(envelope: &Envelope) {
    let sent = envelope.text().unwrap();
    let received = Envelope::read(&sent).unwrap();
    assert_eq!(received.text().unwrap(), sent);
    assert_eq!(received.code(), envelope.code());
    // The client can read the response, whatever it echoes.
    let failure = Error::new(ErrorKind::Internal, sent);
    let cause = Cause::Undecodable;
    let response = Response::failure(Some(envelope), &RequestError { cause, failure });
    let text = response.text().unwrap();
    assert_eq!(Response::read(&text).unwrap().text().unwrap(), text);
    let Some(command) = envelope.command() else {
        return;
    };
    if let Ok(request) = Request::read(command, envelope.request()) {
        let members = request.members().unwrap();
        assert_eq!(Request::read(command, &members).unwrap(), request);
    }
}
