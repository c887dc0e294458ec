//! Finds the end of valid WAL in a partial segment from before a restart: decodes record by record
//! and checks their CRCs.

use std::io::Read;
use std::ops::ControlFlow;

use crate::error::{Context, Error, ErrorKind, Result};
use crate::format::TimelineHistory;
use crate::format::wal::{Decoder, InvalidRecord, PageHeader};
use crate::job::replay::{OpenedSegment, Segments};
use crate::sys::Stop;
use crate::unit::{Lsn, Segment, first_mut, to_u64, to_usize};

/// Bytes decoded at once; a multiple of every WAL page size.
const CHUNK: usize = 256 << 10;

/// How far to search back for the start of a record, in bytes: none is longer (`XLogRecordMaxSize`,
/// PostgreSQL 18 `access/xlogrecord.h`).
const MAX_RECORD_SIZE: u64 = 1 << 30;

/// Finds the end of valid WAL in a segment; `history` ends at the segment's timeline.
pub(super) struct Validation<'a> {
    pub(super) segments: &'a Segments,
    pub(super) history: &'a TimelineHistory,
    pub(super) segment: Segment,
    pub(super) stop: &'a Stop,
}

/// The result of a validation.
pub(super) struct ValidatedWal {
    /// The end of the last complete and valid record. Before the segment if that begins with the
    /// continuation of an invalid one.
    pub(super) end: Lsn,
    /// Why the next record is invalid, and the end of the page where that was found; `None` at the
    /// end of the segment.
    pub(super) invalid_record: Option<(String, Lsn)>,
}

/// Reads one segment file, page by page.
struct Pages {
    opened: OpenedSegment,
    buffer: Vec<u8>,
    address: Lsn,
    end: Lsn,
}

impl Validation<'_> {
    /// Decodes from the start of a record: in the segment before, in an earlier one if a long
    /// record fills that, or in the segment itself where it is the first of the archive; the
    /// continuation of a record that the archive lacks is of no use for recovery. Records are not
    /// interpreted. `None` if no record starts there; `Corrupt` if an earlier segment is damaged.
    pub(super) fn run(&self) -> Result<Option<ValidatedWal>> {
        match self.find_start()? {
            Some((from, first)) => self.decode(from, first).map(Some),
            None => Ok(None),
        }
    }

    /// The start of a record, and the number of the segment that contains it.
    fn find_start(&self) -> Result<Option<(Lsn, u64)>> {
        let (last, size) = (self.segment.number, self.segments.size());
        let mut number = last;
        while let Some(before) = number.checked_sub(1)
            && !self.segments.files(self.history, before).is_empty()
        {
            number = before;
            if let Some(from) = self.first_record(number)? {
                return Ok(Some((from, number)));
            }
            if last.saturating_sub(number).saturating_mul(size.bytes()) > MAX_RECORD_SIZE {
                return Ok(None);
            }
        }
        let from = self.first_record(last)?;
        Ok(from.map(|from| (from, last)))
    }

    fn decode(&self, from: Lsn, first: u64) -> Result<ValidatedWal> {
        let size = self.segments.size();
        let mut decoder = Decoder::new(from, size, None);
        let mut valid_end = None;
        for number in first..=self.segment.number {
            let mut pages = self.open(number)?;
            while let Some((address, bytes)) = pages.next(self.stop)? {
                let fed = decoder.feed(address, bytes, &mut |record| {
                    // The unused rest after a segment switch may not have been sent yet.
                    let end = if record.header.is_switch() {
                        record.start
                    } else {
                        record.end
                    };
                    valid_end = Some(end);
                    ControlFlow::Continue(())
                });
                if let Err(invalid) = fed {
                    return self.stop_at(number, invalid, valid_end);
                }
            }
        }
        Ok(ValidatedWal {
            end: valid_end.unwrap_or(from),
            invalid_record: None,
        })
    }

    /// Decoding stopped at an invalid record.
    fn stop_at(
        &self,
        number: u64,
        invalid: InvalidRecord,
        valid_end: Option<Lsn>,
    ) -> Result<ValidatedWal> {
        let why = format!("the record at {}: {}", invalid.at, invalid.reason);
        match valid_end {
            Some(end) if number == self.segment.number => Ok(ValidatedWal {
                end,
                invalid_record: Some((why, invalid.page_end)),
            }),
            _ => Err(corrupt(why)),
        }
    }

    /// The start of the first record in a segment or right after it; `None` if a record from before
    /// fills the segment.
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
                    return Err(corrupt(format!("the page at {at} has another address")));
                }
                if let Some(offset) = header.first_record(size) {
                    return Ok(Some(at.advance(offset)));
                }
                let step = to_usize(size.into()).max(1);
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
            opened: opened
                .ok_or_else(|| Error::new(ErrorKind::NotFound, "a segment was removed"))?,
            buffer: vec![0; CHUNK],
            address: segment.start(size),
            end: segment.end(size),
        })
    }
}

impl Pages {
    /// The next bytes and their position; `None` at the end of the segment.
    fn next(&mut self, stop: &Stop) -> Result<Option<(Lsn, &[u8])>> {
        stop.check()?;
        let address = self.address;
        let left = to_usize(self.end.since(address)).min(CHUNK);
        let part = first_mut(&mut self.buffer, left);
        if part.is_empty() {
            return Ok(None);
        }
        let path = &self.opened.path;
        let read = self.opened.source.read_exact(part);
        read.with_context(|| format!("read {}", path.display()))?;
        self.address = address.advance(to_u64(part.len()));
        Ok(Some((address, part)))
    }
}

fn corrupt(why: String) -> Error {
    Error::new(ErrorKind::Corrupt, why)
}
