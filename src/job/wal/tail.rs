//! Compares the newest archived WAL with the server's before anything is written.
//!
//! Two standbys that were promoted at the same position have the same timeline ID and history. A
//! server that was reset to an older state, and wrote other WAL before it was promoted, has a
//! consistent history, too.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::error::ReceiveError;
use super::start::Start;
use crate::codec::StoredReader;
use crate::config::Server;
use crate::error::{self, Error, ErrorKind};
use crate::format::TimelineHistory;
use crate::job::context::ServerContext;
use crate::pg::{Connection, Event, Replication};
use crate::repository::{WalDirectory, WalEnd, WalFile};
use crate::unit::{Lsn, Segment, Timeline, first_mut, read_some, to_u64, to_usize};

/// The most bytes to compare. Once WAL differs, all after it does: records contain positions, times
/// and checksums.
const MAX_BYTES: usize = 64 << 10;

/// How often to look up a segment whose file was renamed meanwhile.
const OPEN_ATTEMPTS: usize = 5;

/// How long to wait for one message.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(1);

/// The newest archived WAL before a start.
pub(super) struct ArchiveTail {
    /// The timeline on which it is requested from the server.
    timeline: Timeline,
    /// The position of the first byte.
    from: Lsn,
    bytes: Vec<u8>,
    path: PathBuf,
}

/// Reads that WAL from the archive.
pub(super) struct TailReader<'a> {
    pub(super) context: &'a ServerContext,
    pub(super) directory: &'a WalDirectory,
    pub(super) history: &'a TimelineHistory,
    /// The archive's end of WAL on that path; in a partial segment, the end of the validated WAL.
    pub(super) end: &'a WalEnd,
}

impl TailReader<'_> {
    /// Reads the end of the segment to resume in, else of the older timeline's segment that it
    /// copies, else of the segment before.
    pub(super) fn read(&self, start: &Start) -> error::Result<Option<ArchiveTail>> {
        let (history, size) = (self.history, self.directory.segment_size());
        let segment = Segment::containing(start.timeline, start.position, size);
        let timelines = history.timelines().filter(|one| *one <= start.timeline);
        // The newest of the timelines that wrote into the segment first.
        let timelines: Vec<Timeline> = timelines.collect();
        for &timeline in timelines.iter().rev() {
            let switch = history.end_of(timeline);
            if switch.is_some_and(|switch| switch <= segment.start(size)) {
                break;
            }
            let tail = self.read_segment(
                Segment {
                    timeline,
                    ..segment
                },
                start.timeline,
            )?;
            if tail.is_some() {
                return Ok(tail);
            }
        }
        let Some(number) = segment.number.checked_sub(1) else {
            return Ok(None);
        };
        let last = Lsn(segment.start(size).0.saturating_sub(1));
        let timeline = history.timeline_at(last);
        self.read_segment(Segment { timeline, number }, timeline)
    }

    /// Reads the end of the part of a segment on the path; the server is asked for it on timeline
    /// `on`.
    fn read_segment(&self, segment: Segment, on: Timeline) -> error::Result<Option<ArchiveTail>> {
        let size = self.directory.segment_size();
        let switch = self.history.end_of(segment.timeline);
        let mut limit = switch.map_or(segment.end(size), |switch| switch.min(segment.end(size)));
        let Some((file, source)) = self.open(segment)? else {
            return Ok(None);
        };
        if file.partial {
            if segment != self.end.file.segment {
                return Ok(None);
            }
            limit = limit.min(self.end.received);
        }
        read(source, segment.start(size), limit).map(|tail| {
            tail.map(|(from, bytes)| ArchiveTail {
                timeline: on,
                from,
                bytes,
                path: file.path(),
            })
        })
    }

    /// Opens the file of a segment, if there is one.
    fn open(&self, segment: Segment) -> error::Result<Option<(WalFile, StoredReader)>> {
        let mut not_found = None;
        for _ in 0..OPEN_ATTEMPTS {
            let Some(file) = self.directory.find(segment)? else {
                return Ok(None);
            };
            let opened = self
                .directory
                .open(&file.path(), file.suffixes, &self.context.daemon.key);
            match opened {
                // It was sealed meanwhile and has a new name.
                Err(failure) if failure.kind() == ErrorKind::NotFound => not_found = Some(failure),
                result => return Ok(Some((file, result?))),
            }
        }
        not_found.map_or(Ok(None), Err)
    }
}

impl ArchiveTail {
    /// Fails if the server's WAL differs. Returns the connection unless the server has removed that
    /// WAL.
    pub(super) fn compare(
        &self,
        connection: Connection,
        server: &Server,
    ) -> Result<Option<Connection>, ReceiveError> {
        match self.compare_stream(connection, server) {
            Ok(connection) => Ok(Some(connection)),
            // Most servers report that only after streaming has started.
            Err(error) if error.is_file_removed() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn compare_stream(
        &self,
        connection: Connection,
        server: &Server,
    ) -> Result<Connection, ReceiveError> {
        let mut replication = Replication::start(connection, "", self.timeline, self.from)?;
        let (started, timeout) = (Instant::now(), server.wal_receiver_timeout.duration());
        let mut rest = self.bytes.as_slice();
        let mut expected = self.from;
        while !rest.is_empty() {
            match replication.next(MESSAGE_TIMEOUT)? {
                Event::Wal { start, bytes, .. } if start == expected => {
                    let (archived, later) =
                        rest.split_at_checked(bytes.len()).unwrap_or((rest, &[]));
                    self.check_same(expected, archived, bytes)?;
                    expected = expected.advance(to_u64(archived.len()));
                    rest = later;
                }
                Event::Wal { start, .. } => {
                    let message =
                        format!("the server sent WAL from {start} on, not from {expected}");
                    return Err(ReceiveError::Transient(Error::new(
                        ErrorKind::Protocol,
                        message,
                    )));
                }
                Event::EndOfTimeline => break,
                Event::Keepalive { .. } | Event::Timeout => {
                    if !timeout.is_zero() && started.elapsed() >= timeout {
                        let message = format!("the server did not send its WAL from {expected} on");
                        return Err(ReceiveError::Transient(Error::new(
                            ErrorKind::Timeout,
                            message,
                        )));
                    }
                }
            }
        }
        Ok(replication.finish()?.0)
    }

    /// Archived zero bytes are ignored: they may not have been received.
    fn check_same(&self, at: Lsn, archived: &[u8], sent: &[u8]) -> Result<(), ReceiveError> {
        let differs = |(archived, sent): (&u8, &u8)| *archived != 0 && archived != sent;
        let Some(index) = archived.iter().zip(sent).position(differs) else {
            return Ok(());
        };
        let position = at.advance(to_u64(index));
        let path = self.path.display();
        let message = format!(
            "the server's WAL differs at {position} from the archived WAL ({path} is kept)"
        );
        Err(ReceiveError::NeedsOperator(Error::new(ErrorKind::Corrupt, message).with_hint(
            "another copy of the cluster replaced it, or it was reset to an older state and wrote \
             other WAL; nothing is written; connect to the server that the archive follows, or \
             give this one a section of its own",
        )))
    }
}

/// The last bytes before `limit` that are not zero, and the position of the first of them; the
/// source begins at `begin`.
fn read(mut source: StoredReader, begin: Lsn, limit: Lsn) -> error::Result<Option<(Lsn, Vec<u8>)>> {
    let mut chunk = vec![0; MAX_BYTES];
    let mut position = begin;
    // The kept bytes end at `end`, if there are any.
    let (mut kept, mut end): (Vec<u8>, Lsn) = (Vec::new(), begin);
    while position < limit {
        let wanted = to_usize(limit.since(position)).min(MAX_BYTES);
        let bytes = read_some(&mut source, first_mut(&mut chunk, wanted))?;
        if bytes.is_empty() {
            break;
        }
        if bytes.iter().any(|byte| *byte != 0) {
            if end != position {
                kept.clear();
            }
            kept.extend_from_slice(bytes);
            kept.drain(..kept.len().saturating_sub(2 * MAX_BYTES));
            end = position.advance(to_u64(bytes.len()));
        }
        position = position.advance(to_u64(bytes.len()));
    }
    while kept.pop_if(|last| *last == 0).is_some() {
        end = Lsn(end.0.saturating_sub(1));
    }
    kept.drain(..kept.len().saturating_sub(MAX_BYTES));
    let from = Lsn(end.0.saturating_sub(to_u64(kept.len())));
    Ok((!kept.is_empty()).then_some((from, kept)))
}
