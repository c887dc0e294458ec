//! Physical replication: streaming WAL (PostgreSQL documentation, "Streaming Replication
//! Protocol").

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use postgres_protocol::message::{backend, frontend};

use super::wire::{Body, MessageHeader, protocol_error};
use super::{Connection, quote};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::net::Deadline;
use crate::storage::Durable;
use crate::unit::{Lsn, Timeline, WalPosition};

/// CopyBothResponse, which `postgres-protocol` does not know.
const COPY_BOTH_RESPONSE_TAG: u8 = b'W';
/// The time of PostgreSQL's epoch, 2000-01-01 UTC, in microseconds since 1970.
const POSTGRES_EPOCH: u128 = 946_684_800_000_000;

/// A running physical replication (START_REPLICATION).
pub struct Replication {
    connection: Connection,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Copy-both mode: WAL comes in, status updates go out.
    Streaming,
    /// The server has sent CopyDone, the client has not.
    ServerDone,
    /// There was nothing to stream: the server reported the next timeline at once.
    NothingToCopy,
}

/// A replication message, or the reason why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// XLogData.
    Wal {
        /// LSN of the first byte.
        start: Lsn,
        /// The current end of WAL on the server.
        server_end: Lsn,
        /// WAL from `start` on; it may span segments.
        bytes: &'a [u8],
    },
    /// Primary keepalive message.
    Keepalive {
        /// The current end of WAL on the server.
        server_end: Lsn,
        /// Whether the server asks for a status update at once.
        reply_requested: bool,
    },
    /// No message within the wait.
    Timeout,
    /// The server's timeline ended; call [`Replication::finish`].
    EndOfTimeline,
}

impl Replication {
    /// START_REPLICATION SLOT … PHYSICAL … TIMELINE …; without a slot if the name is empty.
    pub fn start(
        mut connection: Connection,
        slot: &str,
        timeline: Timeline,
        position: Lsn,
    ) -> Result<Replication> {
        let action = || format!("start replication at {position} on timeline {timeline}");
        let slot = match slot {
            "" => String::new(),
            name => format!("SLOT {} ", quote::identifier(name).with_context(action)?),
        };
        let command = format!("START_REPLICATION {slot}PHYSICAL {position} TIMELINE {timeline}");
        connection.command(&command).with_context(action)?;
        let deadline = connection.default_deadline();
        let header = connection.receive(deadline).with_context(action)?;
        let state = match header.tag {
            COPY_BOTH_RESPONSE_TAG => State::Streaming,
            // The timeline ended before `position`: the result set comes without a COPY.
            backend::ROW_DESCRIPTION_TAG => State::NothingToCopy,
            _ => {
                return Err(connection
                    .command_error(&header, deadline)
                    .context(action()));
            }
        };
        connection.wire.use_large_buffer();
        Ok(Replication { connection, state })
    }

    /// The next event; waits at most `wait`. A closed connection (server shutdown) is
    /// [`ErrorKind::Network`].
    pub fn next(&mut self, wait: Duration) -> Result<Event<'_>> {
        if self.state != State::Streaming {
            return Ok(Event::EndOfTimeline);
        }
        let deadline = Deadline::after(wait);
        let header = loop {
            match self.connection.wire.receive_until(deadline)? {
                None => return Ok(Event::Timeout),
                Some(header) if self.connection.handle_async_message(&header)? => {
                    if deadline.passed() {
                        return Ok(Event::Timeout);
                    }
                }
                Some(header) => break header,
            }
        };
        match header.tag {
            backend::COPY_DATA_TAG => parse_event(self.connection.wire.body(&header)),
            backend::COPY_DONE_TAG => {
                self.state = State::ServerDone;
                Ok(Event::EndOfTimeline)
            }
            _ => Err(self.stream_error(&header)),
        }
    }

    fn stream_error(&self, header: &MessageHeader) -> Error {
        if header.tag == backend::COMMAND_COMPLETE_TAG {
            // WalSndDone (PostgreSQL walsender.c): all WAL was sent and confirmed, the server shuts
            // down.
            return Error::new(ErrorKind::Network, "the server shuts down");
        }
        self.connection.unexpected(header).context("stream WAL")
    }

    /// Whether a message or a part of one is buffered or readable without waiting.
    pub fn has_more(&mut self) -> Result<bool> {
        self.connection.wire.has_more()
    }

    /// Standby Status Update: write = flush = `flushed`, apply = 0. Works after a stop was
    /// requested too, for the final update.
    pub fn send_status_update(
        &mut self,
        flushed: Durable<Lsn>,
        reply_requested: bool,
    ) -> Result<()> {
        let update = status_update(flushed.get(), now(), reply_requested);
        let deadline = self.connection.default_deadline();
        self.connection
            .wire
            .send(&update, deadline)
            .context("report the flushed position")
    }

    /// After EndOfTimeline: ends the COPY and returns the next timeline and its start.
    pub fn finish(mut self) -> Result<(Connection, Option<WalPosition>)> {
        const ACTION: &str = "end the replication of a timeline";
        let next = self.complete().context(ACTION)?;
        Ok((self.connection, next))
    }

    fn complete(&mut self) -> Result<Option<WalPosition>> {
        let deadline = self.connection.default_deadline();
        if self.state != State::NothingToCopy {
            let mut message = BytesMut::new();
            frontend::copy_done(&mut message);
            self.connection.wire.send(&message, deadline)?;
        }
        let mut next = None;
        loop {
            let header = self.connection.receive(deadline)?;
            match header.tag {
                // Sent by the server before it received CopyDone.
                backend::COPY_DATA_TAG | backend::COPY_DONE_TAG => {}
                backend::ROW_DESCRIPTION_TAG | backend::COMMAND_COMPLETE_TAG => {}
                backend::DATA_ROW_TAG => {
                    // next_tli, next_tli_startpos
                    let row = super::query::data_row_text(self.connection.wire.body(&header))?;
                    next = Some(WalPosition {
                        timeline: row.parse(0)?,
                        lsn: row.parse(1)?,
                    });
                }
                backend::READY_FOR_QUERY_TAG => return Ok(next),
                _ => return Err(self.connection.command_error(&header, deadline)),
            }
            self.connection.wire.check_deadline(deadline)?;
        }
    }

    /// Ends the stream (CopyDone, Terminate) without waiting for the server.
    pub fn close(mut self) {
        let mut message = BytesMut::new();
        frontend::copy_done(&mut message);
        // The server ends the COPY on a closed connection too; the drop of the connection sends
        // Terminate.
        let _ = self
            .connection
            .wire
            .send(&message, Deadline::after(Duration::ZERO));
    }
}

/// Microseconds since PostgreSQL's epoch.
fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = since_1970.unwrap_or_default().as_micros();
    u64::try_from(micros.saturating_sub(POSTGRES_EPOCH)).unwrap_or(u64::MAX)
}

/// A CopyData message with a Standby Status Update.
fn status_update(flushed: Lsn, now: u64, reply_requested: bool) -> Vec<u8> {
    const LENGTH: u32 = 4 + 34;
    let mut message = vec![backend::COPY_DATA_TAG];
    message.extend(LENGTH.to_be_bytes());
    message.push(b'r');
    message.extend(flushed.0.to_be_bytes());
    message.extend(flushed.0.to_be_bytes());
    message.extend(Lsn::ZERO.0.to_be_bytes());
    message.extend(now.to_be_bytes());
    message.push(u8::from(reply_requested));
    message
}

/// Reads XLogData or a primary keepalive.
fn parse_event(body: &[u8]) -> Result<Event<'_>> {
    let mut body = Body(body);
    match body.u8()? {
        b'w' => {
            let start = Lsn(body.u64()?);
            let server_end = Lsn(body.u64()?);
            // The time of sending is not used.
            body.u64()?;
            Ok(Event::Wal {
                start,
                server_end,
                bytes: body.0,
            })
        }
        b'k' => {
            let server_end = Lsn(body.u64()?);
            body.u64()?;
            let reply_requested = body.u8()? != 0;
            body.end()?;
            Ok(Event::Keepalive {
                server_end,
                reply_requested,
            })
        }
        tag => Err(protocol_error(format!(
            "replication data of unknown type {:?}",
            char::from(tag)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wal_is_borrowed_from_the_message() {
        let mut body = vec![b'w'];
        body.extend(0x1_0000_0000u64.to_be_bytes());
        body.extend(0x2_0000_0000u64.to_be_bytes());
        body.extend(7u64.to_be_bytes());
        body.extend(b"record");
        let expected = Event::Wal {
            start: Lsn(0x1_0000_0000),
            server_end: Lsn(0x2_0000_0000),
            bytes: b"record",
        };
        assert_eq!(parse_event(&body).unwrap(), expected);
        assert!(parse_event(&body[..24]).is_err());
        assert!(parse_event(b"").is_err());
        assert!(parse_event(b"x").is_err());
    }

    #[test]
    fn truncated_and_overlong_keepalives_are_rejected() {
        let mut body = vec![b'k'];
        body.extend(5u64.to_be_bytes());
        body.extend(7u64.to_be_bytes());
        body.push(1);
        let expected = Event::Keepalive {
            server_end: Lsn(5),
            reply_requested: true,
        };
        assert_eq!(parse_event(&body).unwrap(), expected);
        assert!(parse_event(&body[..17]).is_err());
        body.push(0);
        assert!(parse_event(&body).is_err());
    }

    #[test]
    fn a_status_update_has_the_same_write_and_flush_lsn() {
        let message = status_update(Lsn(0x0102_0304_0506_0708), 9, true);
        let mut expected = vec![b'd', 0, 0, 0, 38, b'r'];
        expected.extend([1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        expected.extend([0; 8]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 9, 1]);
        assert_eq!(message, expected);
    }
}
