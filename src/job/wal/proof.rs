//! Up to where an open segment that is there from before holds what the server wrote: record by record, by their checksums.

use std::io::Read;
use std::ops::ControlFlow;

use crate::error::{Context, Failure, Kind, Result};
use crate::format::TimelineHistory;
use crate::format::wal::{Decoder, Invalid, PageHeader};
use crate::job::replay::{Opened, Segments};
use crate::sys::Stop;
use crate::unit::{Lsn, Segment};

/// How many bytes are decoded at once; a multiple of every size of a WAL page.
const CHUNK: usize = 256 << 10;

/// How far to go back for the beginning of a record, in bytes: none is longer (`XLogRecordMaxSize`, PostgreSQL 18
/// `access/xlogrecord.h`).
const FURTHEST: u64 = 1 << 30;

/// Finds the end of the WAL in a segment that is on the way `history` to its own timeline.
pub(super) struct Proof<'a> {
    pub(super) segments: &'a Segments,
    pub(super) history: &'a TimelineHistory,
    pub(super) segment: Segment,
    pub(super) stop: &'a Stop,
}

/// What was found.
pub(super) struct Proven {
    /// The end of the last record that is whole and right. Lies before the segment if that begins with the rest of a record
    /// which is not.
    pub(super) end: Lsn,
    /// Why it is not further on, and the end of the page where that was found; `None` at the end of the segment.
    pub(super) ending: Option<(String, Lsn)>,
}

/// One file, page by page.
struct Pages {
    opened: Opened,
    buffer: Vec<u8>,
    address: Lsn,
    end: Lsn,
}

impl Proof<'_> {
    /// Decodes from a place where a record begins: in the segment before, in an earlier one if a long record fills that, or
    /// in the segment itself where the archive begins with it. What that may begin with, the rest of a record that the
    /// archive does not have, is of no use for any recovery. No record needs to be understood. `None` if none begins there;
    /// `Corrupt` if what comes before the segment is damaged.
    pub(super) fn run(&self) -> Result<Option<Proven>> {
        match self.beginning()? {
            Some((from, first)) => self.decode(from, first).map(Some),
            None => Ok(None),
        }
    }

    /// Where a record begins, and the number of the segment in which that was found.
    fn beginning(&self) -> Result<Option<(Lsn, u64)>> {
        let (own, size) = (self.segment.number, self.segments.size());
        let mut number = own;
        while let Some(before) = number.checked_sub(1)
            && !self.segments.files(self.history, before).is_empty()
        {
            number = before;
            if let Some(from) = self.first_record(number)? {
                return Ok(Some((from, number)));
            }
            if own.saturating_sub(number).saturating_mul(size.bytes()) > FURTHEST {
                return Ok(None);
            }
        }
        let from = self.first_record(own)?;
        Ok(from.map(|from| (from, own)))
    }

    fn decode(&self, from: Lsn, first: u64) -> Result<Proven> {
        let size = self.segments.size();
        let mut decoder = Decoder::new(from, size, None);
        let mut proven = None;
        for number in first..=self.segment.number {
            let mut pages = self.open(number)?;
            while let Some((address, bytes)) = pages.next(self.stop)? {
                let fed = decoder.feed(address, bytes, &mut |record| {
                    // What is unused after a segment switch was not sent yet, perhaps.
                    let end = if record.header.is_switch() {
                        record.start
                    } else {
                        record.end
                    };
                    proven = Some(end);
                    ControlFlow::Continue(())
                });
                if let Err(invalid) = fed {
                    return self.ended(number, invalid, proven);
                }
            }
        }
        Ok(Proven {
            end: proven.unwrap_or(from),
            ending: None,
        })
    }

    /// Records end within a segment.
    fn ended(&self, number: u64, invalid: Invalid, proven: Option<Lsn>) -> Result<Proven> {
        let why = format!("the record at {}: {}", invalid.at, invalid.why);
        match proven {
            Some(end) if number == self.segment.number => Ok(Proven {
                end,
                ending: Some((why, invalid.page_end)),
            }),
            _ => Err(corrupt(why)),
        }
    }

    /// Where the first record begins in a segment, or right after it; `None` if all of it belongs to a record that began
    /// before.
    fn first_record(&self, number: u64) -> Result<Option<Lsn>> {
        let mut pages = self.open(number)?;
        let mut page_size = None;
        while let Some((address, bytes)) = pages.next(self.stop)? {
            let mut at = address;
            let mut rest = bytes;
            while !rest.is_empty() {
                let header = PageHeader::parse(rest);
                let header = header.map_err(|why| corrupt(format!("the page at {at}: {why}")))?;
                let found = header.long.map(|long| long.page_size);
                let size = *page_size.get_or_insert(found.unwrap_or(8192));
                if header.address != at {
                    return Err(corrupt(format!("the page at {at} is another one")));
                }
                if let Some(offset) = header.first_record(size) {
                    return Ok(Some(at.advance(offset)));
                }
                let step = usize::try_from(size).unwrap_or(rest.len()).max(1);
                rest = rest.get(step..).unwrap_or_default();
                at = at.advance(u64::from(size));
            }
        }
        Ok(None)
    }

    fn open(&self, number: u64) -> Result<Pages> {
        let files = self.segments.files(self.history, number);
        let first = files.first().filter(|file| {
            file.segment.number != self.segment.number || file.segment == self.segment
        });
        let opened = match first {
            Some(file) => self.segments.open(*file)?,
            None => None,
        };
        let segment = Segment {
            number,
            ..self.segment
        };
        let size = self.segments.size();
        Ok(Pages {
            opened: opened.ok_or_else(|| Failure::new(Kind::NotFound, "a segment is gone"))?,
            buffer: vec![0; CHUNK],
            address: segment.start(size),
            end: segment.end(size),
        })
    }
}

impl Pages {
    /// The next bytes and where they belong; `None` at the end of the segment.
    fn next(&mut self, stop: &Stop) -> Result<Option<(Lsn, &[u8])>> {
        stop.check()?;
        let address = self.address;
        let left = usize::try_from(self.end.since(address)).unwrap_or(CHUNK);
        let part = self.buffer.get_mut(..left.min(CHUNK)).unwrap_or_default();
        if part.is_empty() {
            return Ok(None);
        }
        let path = &self.opened.path;
        let read = self.opened.source.read_exact(part);
        read.with_context(|| format!("read {}", path.display()))?;
        self.address = address.advance(u64::try_from(part.len()).unwrap_or(0));
        Ok(Some((address, part)))
    }
}

fn corrupt(why: String) -> Failure {
    Failure::new(Kind::Corrupt, why)
}
