//! Whether the server's WAL is the one that the archive has: the newest bytes of it are compared before anything is
//! written.
//!
//! Two standbys that were promoted at one position have timelines of one number and one history. A server that was brought
//! back to an older state, and wrote other WAL before it was promoted, has a history that fits, too.

use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::start::Start;
use super::trouble::Trouble;
use crate::codec::Source;
use crate::config::Server;
use crate::error::{self, Failure, Kind};
use crate::format::TimelineHistory;
use crate::job::context::Context;
use crate::pg::{Connection, Event, Replication};
use crate::repository::{WalDirectory, WalEnd, WalFile};
use crate::unit::{Lsn, Segment, Timeline};

/// How many bytes are compared, at most. Where WAL differs once, everything after it does: records hold positions, times
/// and checksums.
const WINDOW: usize = 64 << 10;

/// How often a file is looked for that was there a moment ago.
const ATTEMPTS: usize = 5;

/// How long to wait for one message.
const PATIENCE: Duration = Duration::from_secs(1);

/// The newest WAL that the archive has on the way to a start.
pub(super) struct Known {
    /// On which timeline the server is asked for it.
    timeline: Timeline,
    /// The position of the first byte.
    from: Lsn,
    bytes: Vec<u8>,
    path: PathBuf,
}

/// Where that WAL is looked for.
pub(super) struct Place<'a> {
    pub(super) context: &'a Context,
    pub(super) directory: &'a WalDirectory,
    pub(super) history: &'a TimelineHistory,
    /// The end of the archive on that way; of a partial segment, of what is proven of it.
    pub(super) end: &'a WalEnd,
}

impl Place<'_> {
    /// Reads it: the end of the segment to go on with, else of what it begins with a copy of, else of the segment before.
    pub(super) fn read(&self, start: &Start) -> error::Result<Option<Known>> {
        let (history, size) = (self.history, self.directory.segment_size());
        let segment = Segment::containing(start.timeline, start.position, size);
        let own = history.timelines().filter(|one| *one <= start.timeline);
        // Of the timelines that wrote into the segment the newest first.
        let own: Vec<Timeline> = own.collect();
        for &timeline in own.iter().rev() {
            let left = history.end_of(timeline);
            if left.is_some_and(|left| left <= segment.start(size)) {
                break;
            }
            let known = self.read_segment(
                Segment {
                    timeline,
                    ..segment
                },
                start.timeline,
            )?;
            if known.is_some() {
                return Ok(known);
            }
        }
        let Some(number) = segment.number.checked_sub(1) else {
            return Ok(None);
        };
        let last = Lsn(segment.start(size).0.saturating_sub(1));
        let timeline = history.timeline_at(last);
        self.read_segment(Segment { timeline, number }, timeline)
    }

    /// Reads the end of what counts of a segment, for which the server is asked on timeline `on`.
    fn read_segment(&self, segment: Segment, on: Timeline) -> error::Result<Option<Known>> {
        let size = self.directory.segment_size();
        let left = self.history.end_of(segment.timeline);
        let mut limit = left.map_or(segment.end(size), |left| left.min(segment.end(size)));
        let Some((file, source)) = self.open(segment)? else {
            return Ok(None);
        };
        if file.partial {
            if segment != self.end.file.segment {
                return Ok(None);
            }
            limit = limit.min(self.end.received);
        }
        read(source, segment.start(size), limit).map(|known| {
            known.map(|(from, bytes)| Known {
                timeline: on,
                from,
                bytes,
                path: file.path,
            })
        })
    }

    /// Opens the file that holds a segment, if there is one.
    fn open(&self, segment: Segment) -> error::Result<Option<(WalFile, Source)>> {
        let mut gone = None;
        for _ in 0..ATTEMPTS {
            let Some(file) = self.directory.find(segment)? else {
                return Ok(None);
            };
            let opened = self
                .directory
                .open(&file.path, file.suffixes, &self.context.key);
            match opened {
                // It was sealed meanwhile, and has another name.
                Err(failure) if failure.kind() == Kind::NotFound => gone = Some(failure),
                result => return Ok(Some((file, result?))),
            }
        }
        gone.map_or(Ok(None), Err)
    }
}

impl Known {
    /// Compares it with what the server has there, which is refused if it differs. The connection comes back unless the
    /// server has no such WAL any more.
    pub(super) fn compare(
        &self,
        connection: Connection,
        server: &Server,
    ) -> Result<Option<Connection>, Trouble> {
        match self.compare_stream(connection, server) {
            Ok(connection) => Ok(Some(connection)),
            // Most servers find that out only once they have begun to stream.
            Err(trouble) if trouble.is_removed() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    fn compare_stream(
        &self,
        connection: Connection,
        server: &Server,
    ) -> Result<Connection, Trouble> {
        let mut replication = Replication::start(connection, "", self.timeline, self.from)?;
        let (begun, timeout) = (Instant::now(), server.wal_receiver_timeout.duration());
        let mut rest = self.bytes.as_slice();
        let mut expected = self.from;
        while !rest.is_empty() {
            match replication.next(PATIENCE)? {
                Event::Wal { start, bytes, .. } if start == expected => {
                    let (old, later) = rest.split_at_checked(bytes.len()).unwrap_or((rest, &[]));
                    self.check_same(expected, old, bytes)?;
                    expected = expected.advance(u64::try_from(old.len()).unwrap_or(u64::MAX));
                    rest = later;
                }
                Event::Wal { start, .. } => {
                    let message =
                        format!("the server sent WAL from {start} on, not from {expected}");
                    return Err(Trouble::Passing(Failure::new(Kind::Protocol, message)));
                }
                Event::EndOfTimeline => break,
                Event::Keepalive { .. } | Event::Quiet => {
                    if !timeout.is_zero() && begun.elapsed() >= timeout {
                        let message = format!("the server did not send its WAL from {expected} on");
                        return Err(Trouble::Passing(Failure::new(Kind::Timeout, message)));
                    }
                }
            }
        }
        Ok(replication.finish()?.0)
    }

    /// A byte that is zero here may not have been received.
    fn check_same(&self, at: Lsn, old: &[u8], new: &[u8]) -> Result<(), Trouble> {
        let differs = |(old, new): (&u8, &u8)| *old != 0 && old != new;
        let Some(index) = old.iter().zip(new).position(differs) else {
            return Ok(());
        };
        let position = at.advance(u64::try_from(index).unwrap_or(0));
        let path = self.path.display();
        let message = format!(
            "the server's WAL differs at {position} from what the archive has ({path} is kept)"
        );
        Err(Trouble::Lasting(Failure::new(Kind::Corrupt, message).hint(
            "another copy of the cluster took its place, or it went back to an older state and wrote other WAL; nothing of \
             it is written; connect to the server that the archive follows, or give this one a section of its own",
        )))
    }
}

/// The last bytes before `limit` that are not zero, and the position of the first of them; the source begins at `begin`.
fn read(mut source: Source, begin: Lsn, limit: Lsn) -> error::Result<Option<(Lsn, Vec<u8>)>> {
    let mut chunk = vec![0; WINDOW];
    let mut position = begin;
    // What is kept ends at `end`, if there is anything.
    let (mut kept, mut end): (Vec<u8>, Lsn) = (Vec::new(), begin);
    while position < limit {
        let wanted = usize::try_from(limit.since(position)).unwrap_or(WINDOW);
        let buffer = chunk.get_mut(..wanted.min(WINDOW)).unwrap_or_default();
        let count = source.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        if bytes.iter().any(|byte| *byte != 0) {
            if end != position {
                kept.clear();
            }
            kept.extend_from_slice(bytes);
            kept.drain(..kept.len().saturating_sub(2 * WINDOW));
            end = position.advance(u64::try_from(count).unwrap_or(0));
        }
        position = position.advance(u64::try_from(count).unwrap_or(0));
    }
    while kept.pop_if(|last| *last == 0).is_some() {
        end = Lsn(end.0.saturating_sub(1));
    }
    kept.drain(..kept.len().saturating_sub(WINDOW));
    let from = Lsn(end.0.saturating_sub(u64::try_from(kept.len()).unwrap_or(0)));
    Ok((!kept.is_empty()).then_some((from, kept)))
}
