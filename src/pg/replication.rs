//! Physical replication: WAL as it is written (PostgreSQL documentation, "Streaming Replication Protocol").

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use postgres_protocol::message::{backend, frontend};

use super::slot::{position, timeline};
use super::wire::{Body, Head, protocol};
use super::{Connection, quote};
use crate::error::{Context, Failure, Kind, Result};
use crate::net::Deadline;
use crate::storage::Durable;
use crate::unit::{Lsn, Timeline};

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
    /// Both sides copy.
    Streaming,
    /// The server has sent CopyDone, and we have not.
    ServerDone,
    /// There was nothing to copy: the server went on to the next timeline at once.
    NothingToCopy,
}

/// What came from the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// WAL bytes.
    Wal {
        /// Position of the first byte.
        start: Lsn,
        /// The server's end of WAL.
        server_end: Lsn,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A sign of life.
    Keepalive {
        /// The server's end of WAL.
        server_end: Lsn,
        /// Whether it wants an answer at once.
        reply_requested: bool,
    },
    /// Nothing within the wait.
    Quiet,
    /// The timeline ends here; call [`Replication::finish`].
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
        let doing = || format!("start replication at {position} on timeline {timeline}");
        let slot = match slot {
            "" => String::new(),
            name => format!("SLOT {} ", quote::identifier(name).with_context(doing)?),
        };
        let command = format!("START_REPLICATION {slot}PHYSICAL {position} TIMELINE {timeline}");
        connection.command(&command).with_context(doing)?;
        let deadline = connection.soon();
        let head = connection.receive(deadline).with_context(doing)?;
        let state = match head.tag {
            COPY_BOTH_RESPONSE_TAG => State::Streaming,
            // The timeline ended before `position`: its result set comes without a copy.
            backend::ROW_DESCRIPTION_TAG => State::NothingToCopy,
            _ => return Err(connection.refused(&head, deadline).context(doing())),
        };
        connection.wire.enlarge();
        Ok(Replication { connection, state })
    }

    /// The next event; waits at most `wait`. A connection that is closed (server shutdown) is a Network failure.
    pub fn next(&mut self, wait: Duration) -> Result<Event<'_>> {
        if self.state != State::Streaming {
            return Ok(Event::EndOfTimeline);
        }
        let deadline = Deadline::after(wait);
        let head = loop {
            match self.connection.wire.receive_until(deadline)? {
                None => return Ok(Event::Quiet),
                Some(head) if self.connection.aside(&head)? => {
                    if deadline.passed() {
                        return Ok(Event::Quiet);
                    }
                }
                Some(head) => break head,
            }
        };
        match head.tag {
            backend::COPY_DATA_TAG => event(self.connection.wire.body(&head)),
            backend::COPY_DONE_TAG => {
                self.state = State::ServerDone;
                Ok(Event::EndOfTimeline)
            }
            _ => Err(self.broken_off(&head)),
        }
    }

    fn broken_off(&self, head: &Head) -> Failure {
        if head.tag == backend::COMMAND_COMPLETE_TAG {
            // WalSndDone (PostgreSQL walsender.c): all WAL was sent and acknowledged, the server goes down.
            return Failure::new(Kind::Network, "the server shuts down");
        }
        self.connection.unexpected(head).context("stream WAL")
    }

    /// Whether [`Replication::next`] has something without waiting (complete or partial message buffered or readable).
    pub fn has_more(&mut self) -> Result<bool> {
        self.connection.wire.has_more()
    }

    /// Standby Status Update: write = flush = `flushed`, apply = 0. Works after a stop was requested too, for the last
    /// report.
    pub fn acknowledge(&mut self, flushed: Durable<Lsn>, reply_requested: bool) -> Result<()> {
        let update = status_update(flushed.get(), now(), reply_requested);
        let deadline = self.connection.soon();
        self.connection
            .wire
            .send(&update, deadline)
            .context("report the flushed position")
    }

    /// After EndOfTimeline: completes the copy and returns the next timeline and where it begins.
    pub fn finish(mut self) -> Result<(Connection, Option<(Timeline, Lsn)>)> {
        const DOING: &str = "end the replication of a timeline";
        let next = self.complete().context(DOING)?;
        Ok((self.connection, next))
    }

    fn complete(&mut self) -> Result<Option<(Timeline, Lsn)>> {
        let deadline = self.connection.soon();
        if self.state != State::NothingToCopy {
            let mut message = BytesMut::new();
            frontend::copy_done(&mut message);
            self.connection.wire.send(&message, deadline)?;
        }
        let mut next = None;
        loop {
            let head = self.connection.receive(deadline)?;
            match head.tag {
                // What was under way when we said that we are done.
                backend::COPY_DATA_TAG | backend::COPY_DONE_TAG => {}
                backend::ROW_DESCRIPTION_TAG | backend::COMMAND_COMPLETE_TAG => {}
                backend::DATA_ROW_TAG => {
                    // next_tli, next_tli_startpos
                    let row = super::query::data_row_text(self.connection.wire.body(&head))?;
                    next = Some((timeline(row.text(0)?)?, position(row.text(1)?)?));
                }
                backend::READY_FOR_QUERY_TAG => return Ok(next),
                _ => return Err(self.connection.refused(&head, deadline)),
            }
            self.connection.wire.in_time(deadline)?;
        }
    }

    /// Leaves in order (CopyDone, Terminate) without waiting for the server.
    pub fn leave(mut self) {
        let mut message = BytesMut::new();
        frontend::copy_done(&mut message);
        // The server ends the copy on a closed connection too; the connection's own drop sends Terminate.
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
    u64::try_from(micros.saturating_sub(POSTGRES_EPOCH)).unwrap_or(0)
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
fn event(body: &[u8]) -> Result<Event<'_>> {
    let mut body = Body(body);
    match body.u8()? {
        b'w' => {
            let start = Lsn(body.u64()?);
            let server_end = Lsn(body.u64()?);
            // The time of sending, which says nothing that we need.
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
        tag => Err(protocol(format!(
            "replication data of unknown type {:?}",
            char::from(tag)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wal_is_lent_from_the_message() {
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
        assert_eq!(event(&body).unwrap(), expected);
        assert!(event(&body[..24]).is_err());
        assert!(event(b"").is_err());
        assert!(event(b"x").is_err());
    }

    #[test]
    fn a_keepalive_is_read_to_the_byte() {
        let mut body = vec![b'k'];
        body.extend(5u64.to_be_bytes());
        body.extend(7u64.to_be_bytes());
        body.push(1);
        let expected = Event::Keepalive {
            server_end: Lsn(5),
            reply_requested: true,
        };
        assert_eq!(event(&body).unwrap(), expected);
        assert!(event(&body[..17]).is_err());
        body.push(0);
        assert!(event(&body).is_err());
    }

    #[test]
    fn a_status_update_reports_one_position_as_written_and_flushed() {
        let message = status_update(Lsn(0x0102_0304_0506_0708), 9, true);
        let mut expected = vec![b'd', 0, 0, 0, 38, b'r'];
        expected.extend([1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        expected.extend([0; 8]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 9, 1]);
        assert_eq!(message, expected);
    }
}
