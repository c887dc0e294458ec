//! Sending and receiving messages (PostgreSQL documentation, "Message Formats").

use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::net::{Deadline, Stream};
use crate::unit::to_usize;

/// Limit for a message before the login is complete, bytes: the server is not authenticated yet.
const MAX_LOGIN_MESSAGE: usize = 64 << 10;
/// Limit for a message after the login, bytes. Copied data comes in messages of at most 1 MiB
/// (`MAX_SEND_SIZE`, PostgreSQL `walsender.c`, with the largest WAL pages); rows and errors depend
/// on the query.
const MAX_MESSAGE: usize = 64 << 20;
/// The buffer for answers to queries, bytes.
const SMALL_BUFFER: usize = 16 << 10;
/// The buffer for copied data, bytes: several messages of 128 KiB, so that one read takes what the
/// socket has, and the tail of a message that must move to the front is small against what was
/// read.
const LARGE_BUFFER: usize = 512 << 10;

/// A received message: its type, and the range of its body in the buffer, valid until the next one
/// is received.
#[derive(Clone, Debug)]
pub(super) struct MessageHeader {
    pub tag: u8,
    body: Range<usize>,
}

/// The stream with its receive buffer, which is reused: a body is read from the buffer without a
/// copy.
pub(super) struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    /// The received bytes that were not returned yet are `buffer[start..end]`.
    start: usize,
    end: usize,
    max_message: usize,
}

pub(super) fn protocol_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, message)
}

impl Wire {
    pub fn new(stream: Stream) -> Wire {
        Wire {
            stream,
            buffer: vec![0; SMALL_BUFFER],
            start: 0,
            end: 0,
            max_message: MAX_LOGIN_MESSAGE,
        }
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Raises the limit once the login is complete.
    pub fn allow_long_messages(&mut self) {
        self.max_message = MAX_MESSAGE;
    }

    /// Enlarges the buffer for COPY data.
    pub fn use_large_buffer(&mut self) {
        if self.buffer.len() < LARGE_BUFFER {
            self.buffer.resize(LARGE_BUFFER, 0);
        }
    }

    pub fn send(&mut self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        self.stream.write_all(bytes, deadline)
    }

    /// The next message; [`ErrorKind::Timeout`] if it is not complete before the deadline,
    /// [`ErrorKind::Network`] if the stream ends first.
    pub fn receive(&mut self, deadline: Deadline) -> Result<MessageHeader> {
        loop {
            if let Some(header) = self.next_buffered()? {
                return Ok(header);
            }
            self.fill(deadline)?;
        }
    }

    /// The next message, or `None` if it is not complete before the deadline.
    pub fn receive_until(&mut self, deadline: Deadline) -> Result<Option<MessageHeader>> {
        match self.receive(deadline) {
            Ok(header) => Ok(Some(header)),
            Err(failure) if failure.kind() == ErrorKind::Timeout => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Fails when the deadline has passed. Call it between messages of which a server may send any
    /// number: [`Wire::receive`] does not check the deadline while messages are buffered.
    pub fn check_deadline(&self, deadline: Deadline) -> Result<()> {
        if !deadline.passed() {
            return Ok(());
        }
        let peer = self.stream.peer();
        let message = format!("{peer}: the answer did not end before the deadline");
        Err(Error::new(ErrorKind::Timeout, message))
    }

    /// The body of a message, valid until the next one is received.
    pub fn body(&self, header: &MessageHeader) -> &[u8] {
        self.buffer.get(header.body.clone()).unwrap_or_default()
    }

    /// Whether a message, or a part of one, is buffered or can be read at once.
    pub fn has_more(&mut self) -> Result<bool> {
        Ok(self.start < self.end || self.stream.readable_now()?)
    }

    /// Takes the next message from the buffer, if it is complete.
    fn next_buffered(&mut self) -> Result<Option<MessageHeader>> {
        let received = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some((&[tag, a, b, c, d], _)) = received.split_first_chunk::<5>() else {
            return Ok(None);
        };
        // The length counts itself and not the type.
        let length = u32::from_be_bytes([a, b, c, d]);
        let length = to_usize(length.into());
        if length < 4 || length > self.max_message {
            return Err(protocol_error(format!(
                "{}: a message of type {:?} with a length of {length} bytes",
                self.stream.peer(),
                char::from(tag)
            )));
        }
        let whole = length + 1;
        if received.len() < whole {
            self.make_room(whole);
            return Ok(None);
        }
        let body = self.start + 5..self.start + whole;
        self.start += whole;
        Ok(Some(MessageHeader { tag, body }))
    }

    /// Makes room for a message of `whole` bytes after `start`. The buffer grows only as bytes
    /// arrive, so that a false length costs no memory.
    fn make_room(&mut self, whole: usize) {
        if self.start + whole <= self.buffer.len() {
            return;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            let double = self.buffer.len().saturating_mul(2);
            self.buffer.resize(double.min(whole.max(SMALL_BUFFER)), 0);
        }
    }

    fn fill(&mut self, deadline: Deadline) -> Result<()> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.buffer.len() {
            // Less than a header is left at the very end.
            self.make_room(self.buffer.len());
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match self.stream.read(room, deadline)? {
            0 => Err(Error::new(
                ErrorKind::Network,
                format!("{} closed the connection", self.stream.peer()),
            )),
            count => {
                self.end += count;
                Ok(())
            }
        }
    }
}

/// Reads the fields of a message body in order, with bounds checks.
pub(super) struct Body<'a>(pub &'a [u8]);

impl<'a> Body<'a> {
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        match self.0.split_at_checked(count) {
            Some((header, rest)) => {
                self.0 = rest;
                Ok(header)
            }
            None => Err(protocol_error("a message of the server is too short")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes(N)?;
        <[u8; N]>::try_from(bytes).map_err(|error| protocol_error(error.to_string()))
    }

    pub fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// The bytes up to the next NUL.
    pub fn cstr(&mut self) -> Result<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0);
        let text = self.bytes(end.unwrap_or(usize::MAX))?;
        self.bytes(1)?;
        Ok(text)
    }

    pub fn end(&self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(protocol_error("a message of the server is too long"))
        }
    }
}
