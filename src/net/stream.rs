//! A connected byte stream.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustls::Connection;

use super::Deadline;
use super::socket::Socket;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::sys::Stop;
use crate::unit::after;

/// A connected byte stream.
///
/// Errors: [`ErrorKind::Network`] when the connection fails, [`ErrorKind::Timeout`] when a deadline
/// passes, and [`ErrorKind::Stopped`] when a stop is requested. A stop ends every read, but a write
/// only where it waits, so that a short final message can still be sent.
pub struct Stream {
    pub(super) socket: Socket,
    pub(super) tls: Option<Box<Connection>>,
    pub(super) stop: Stop,
    pub(super) peer: String,
    /// Whether the last read emptied the buffer of the socket: the next one waits first.
    pub(super) drained: bool,
}

/// An [`ErrorKind::Network`] error with the message of `error`.
pub(super) fn network_error(error: &io::Error) -> Error {
    Error::new(ErrorKind::Network, error.to_string())
}

impl Stream {
    /// A stream over a connected Unix socket.
    pub fn from_unix(socket: UnixStream, stop: Stop) -> Result<Stream> {
        socket
            .set_nonblocking(true)
            .context("set up a Unix socket")?;
        Ok(Stream::from_socket(
            Socket::Unix(socket),
            stop,
            "a Unix socket".to_owned(),
        ))
    }

    pub(super) fn from_socket(socket: Socket, stop: Stop, peer: String) -> Stream {
        Stream {
            socket,
            tls: None,
            stop,
            peer,
            drained: false,
        }
    }

    /// The address of the peer, for messages.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether the connection uses TLS.
    pub fn encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads available bytes, at least one; waits for it until `deadline`. Returns 0 at the end of
    /// the stream.
    pub fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize> {
        self.stop.check()?;
        let mut wait = std::mem::take(&mut self.drained) && self.tls.is_none();
        loop {
            if std::mem::take(&mut wait) {
                let socket = self.socket.as_fd();
                if !self.stop.wait_readable(socket, deadline.left())? {
                    return Err(self.timeout_error("no answer"));
                }
            }
            match self.try_read(buffer) {
                Ok(count) => {
                    // TLS may have buffered more than the socket has.
                    self.drained = self.tls.is_none() && count < buffer.len();
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.stop.check()?;
                    if deadline.passed() {
                        return Err(self.timeout_error("no answer"));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait = true,
                Err(error) => {
                    return Err(network_error(&error).context(format!("read from {}", self.peer)));
                }
            }
        }
    }

    /// Fills `buffer`; the end of the stream before that is a [`ErrorKind::Network`] failure.
    pub fn read_exact(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<()> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.read(rest, deadline)? {
                0 => {
                    return Err(Error::new(
                        ErrorKind::Network,
                        format!("{} closed the connection", self.peer),
                    ));
                }
                count => filled += count,
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` to the connection.
    pub fn write_all(&mut self, bytes: &[u8], deadline: Deadline) -> Result<()> {
        let mut rest = bytes;
        loop {
            match self.try_write(rest) {
                Ok(None) => return Ok(()),
                Ok(Some(count)) => rest = after(rest, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let ready = self
                        .stop
                        .wait_writable(self.socket.as_fd(), deadline.left())?;
                    if !ready {
                        return Err(self.timeout_error("cannot send"));
                    }
                }
                Err(error) => {
                    return Err(network_error(&error).context(format!("write to {}", self.peer)));
                }
            }
        }
    }

    /// Whether [`Stream::read`] returns without waiting, with bytes or at the end of the stream.
    /// Over TLS it may still wait for the rest of a record. `false` once a stop is requested,
    /// because reads fail then.
    pub fn readable_now(&mut self) -> Result<bool> {
        if self.stop.requested() {
            return Ok(false);
        }
        if let Some(tls) = &mut self.tls {
            let state = tls.process_new_packets().map_err(|error| {
                Error::new(
                    ErrorKind::Network,
                    format!("TLS connection to {}: {error}", self.peer),
                )
            })?;
            if state.plaintext_bytes_to_read() > 0 {
                return Ok(true);
            }
        }
        let ready = self.stop.wait_readable(self.socket.as_fd(), Duration::ZERO);
        match ready {
            Err(failure) if failure.kind() == ErrorKind::Stopped => Ok(false),
            other => other,
        }
    }

    fn timeout_error(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Timeout,
            format!("{}: {what} before the deadline", self.peer),
        )
    }

    /// [`io::ErrorKind::Interrupted`] where TLS has read something that is no data of the peer's,
    /// of which there may be any number.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.read(buffer);
        };
        match tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Closed without a close_notify: treated as the end of the stream, as on a plain
            // socket. The protocol above knows whether it may end there.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            other => return other,
        }
        tls.read_tls(&mut self.socket)?;
        let processed = tls.process_new_packets();
        // Replies of the TLS layer: key updates or alerts. If the socket cannot take them now, the
        // next write sends them.
        if tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock && processed.is_ok() => {
                    return Err(error);
                }
                _ => {}
            }
        }
        match processed
            .map_err(io::Error::other)?
            .plaintext_bytes_to_read()
        {
            0 => Err(io::ErrorKind::Interrupted.into()),
            _ => tls.reader().read(buffer),
        }
    }

    /// Sends bytes to the peer; returns how many bytes of `rest` were taken, or `None` when nothing
    /// is left to send.
    fn try_write(&mut self, rest: &[u8]) -> io::Result<Option<usize>> {
        let Some(tls) = &mut self.tls else {
            if rest.is_empty() {
                return Ok(None);
            }
            return match self.socket.write(rest)? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                count => Ok(Some(count)),
            };
        };
        if tls.wants_write() {
            return match tls.write_tls(&mut self.socket)? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                _ => Ok(Some(0)),
            };
        }
        if rest.is_empty() {
            return Ok(None);
        }
        Ok(Some(tls.writer().write(rest)?))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
