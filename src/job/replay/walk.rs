//! From one record to the next, over all segments of a way.

use std::io::Read;
use std::ops::ControlFlow;

use super::Segments;
use super::segments::Opened;
use crate::error::Result;
use crate::format::TimelineHistory;
use crate::format::wal::{Decoder, Event, Invalid, Record};
use crate::sys::Stop;
use crate::unit::{Lsn, Segment};

/// How many bytes are decoded at once; a multiple of every size of a WAL page.
const CHUNK: usize = 256 << 10;

/// Reads WAL along a way of timelines.
pub struct Walk<'a> {
    /// Where the WAL is.
    pub segments: &'a Segments,
    /// The way.
    pub history: &'a TimelineHistory,
    /// The cluster that the WAL must be of, if that is known.
    pub system_identifier: Option<u64>,
    /// Ends the walk.
    pub stop: &'a Stop,
}

/// How far a walk came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The end of the last record that is whole and right; the beginning of the walk if there is none.
    pub end: Lsn,
    /// Where that record begins.
    pub last: Option<Lsn>,
    /// Why it went no further.
    pub ending: Ending,
}

/// Why a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It had seen what it looked for.
    Told,
    /// Nothing more was received: this is the segment that would be next, or the one that is being received.
    Received(Segment),
    /// Segments are missing, from the first to the last of these, and there are more behind.
    Missing(Segment, Segment),
    /// There is more, but it is damaged: in which file, and how.
    Damaged(String, String),
}

/// What is done with each record.
pub type Found<'f> = &'f mut dyn FnMut(&Record<'_>, Event) -> ControlFlow<()>;

/// What became of one segment.
enum Fed {
    All,
    Told,
    Invalid(Invalid),
    Damaged(String),
}

impl Walk<'_> {
    /// Reads from `from`, where a record begins, and hands out each record until `found` breaks or WAL ends. Fails only
    /// for reasons that lie outside of the WAL.
    pub fn run(&self, from: Lsn, found: Found<'_>) -> Result<Walked> {
        let size = self.segments.size();
        let mut decoder = Decoder::new(from, size, self.system_identifier);
        let mut buffer = vec![0; CHUNK];
        let mut number = from.0 / size.bytes();
        let ending = loop {
            let segment = self.segments.on_way(self.history, number);
            let opened = match self.segments.open(segment) {
                Ok(Some(opened)) => opened,
                Ok(None) => break self.absent(segment),
                Err(failure) => break Ending::Damaged(segment.name(size), failure.to_string()),
            };
            let (path, written) = (opened.path.clone(), opened.written);
            let damaged = |why| Ending::Damaged(path.display().to_string(), why);
            match self.segment(&mut decoder, segment, opened, &mut buffer, found)? {
                Fed::All => number = number.saturating_add(1),
                Fed::Told => break Ending::Told,
                Fed::Damaged(why) => break damaged(why),
                Fed::Invalid(invalid) => {
                    let more = self.segments.next(self.history, number).is_some();
                    if more || is_damage(&invalid, written) {
                        break damaged(format!("the record at {}: {}", invalid.at, invalid.why));
                    }
                    break Ending::Received(segment);
                }
            }
        };
        Ok(Walked {
            end: decoder.position(),
            last: decoder.last(),
            ending,
        })
    }

    fn absent(&self, segment: Segment) -> Ending {
        match self.segments.next(self.history, segment.number) {
            Some(next) => {
                let last = self
                    .segments
                    .on_way(self.history, next.number.saturating_sub(1));
                Ending::Missing(segment, last)
            }
            None => Ending::Received(segment),
        }
    }

    fn segment(
        &self,
        decoder: &mut Decoder,
        segment: Segment,
        mut opened: Opened,
        buffer: &mut [u8],
        found: Found<'_>,
    ) -> Result<Fed> {
        let (mut address, end) = (
            segment.start(self.segments.size()),
            segment.end(self.segments.size()),
        );
        while address < end {
            self.stop.check()?;
            let length = match fill(&mut opened.source, buffer) {
                Ok(length) => length,
                Err(error) => return Ok(Fed::Damaged(error.to_string())),
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(Fed::Damaged("the segment is too short".to_owned()));
            }
            let mut unknown = None;
            let fed = decoder.feed(address, bytes, &mut |record| match Event::of(record) {
                Ok(event) => found(record, event),
                Err(why) => {
                    unknown = Some(why);
                    ControlFlow::Break(())
                }
            });
            match (unknown, fed) {
                (Some(why), _) => return Ok(Fed::Damaged(why)),
                (None, Err(invalid)) => return Ok(Fed::Invalid(invalid)),
                (None, Ok(ControlFlow::Break(()))) => return Ok(Fed::Told),
                (None, Ok(ControlFlow::Continue(()))) => {}
            }
            address = address.advance(u64::try_from(length).unwrap_or(u64::MAX));
        }
        // That nothing follows, and the tag of what was encrypted.
        match opened.source.finish() {
            Ok(_) => Ok(Fed::All),
            Err(failure) => Ok(Fed::Damaged(failure.to_string())),
        }
    }
}

/// Whether WAL ends although more of it was written. Where it ends because no more was received there is nothing behind
/// the page that is not complete.
fn is_damage(invalid: &Invalid, written: Option<Lsn>) -> bool {
    match written {
        Some(written) => written > invalid.page_end,
        None => !invalid.nothing,
    }
}

/// Fills the buffer, unless the source ends before.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
