//! Finds the records in the bytes of segments.

use std::ops::ControlFlow;

use super::event::{Event, KEPT};
use super::page::{FIRST_IS_CONTINUATION, PageHeader};
use super::record::{HEADER_LENGTH, Record, RecordHeader};
use crate::unit::{Lsn, SegmentSize};

/// `MAXIMUM_ALIGNOF` of all platforms that PostgreSQL runs on today: records begin at multiples of it.
const ALIGNMENT: usize = 8;

/// Valid WAL ends: what PostgreSQL's recovery would find too, and end at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Where the record begins that is not there or not right, thus the end of valid WAL.
    pub at: Lsn,
    /// What is wrong.
    pub why: String,
    /// The end of the page on which it was found. Where WAL ends because no more was received, nothing is behind it.
    pub page_end: Lsn,
    /// Whether there are zeros instead of a record or a page, as behind the end of what was written.
    pub nothing: bool,
}

/// Finds the records in WAL that is fed in order, from the beginning of the segment that holds the first one. Checks
/// what PostgreSQL's `xlogreader.c` checks (`XLogDecodeNextRecord`, `XLogReaderValidatePageHeader`), in memory that
/// does not grow with the records. A clone goes on from the same place with other bytes.
#[derive(Clone)]
pub struct Decoder {
    system_identifier: Option<u64>,
    segment_size: SegmentSize,
    page_size: usize,
    /// Where the next record begins; while one is being put together, where that one began.
    next: Lsn,
    /// The end of the last page that was looked at: where a record goes on that is being put together.
    page: Lsn,
    /// Where the last record began.
    last: Option<Lsn>,
    timeline: u32,
    inside: Option<Assembly>,
    /// The buffer for bodies, kept for the next record.
    spare: Vec<u8>,
}

/// A record that is being put together.
#[derive(Clone)]
struct Assembly {
    header: [u8; HEADER_LENGTH],
    parsed: Option<RecordHeader>,
    total: usize,
    got: usize,
    crc: u32,
    body: Vec<u8>,
}

type Found<'f> = &'f mut dyn FnMut(&Record<'_>) -> ControlFlow<()>;

impl Decoder {
    /// Begins at `start`, where a record begins. Segments must be of this size, and of this system if it is known.
    pub fn new(start: Lsn, segment_size: SegmentSize, system_identifier: Option<u64>) -> Decoder {
        Decoder {
            system_identifier,
            segment_size,
            page_size: 8192,
            next: start,
            page: Lsn::ZERO,
            last: None,
            timeline: 0,
            inside: None,
            spare: Vec::new(),
        }
    }

    /// The end of valid WAL so far: where the next record begins, or the one that is not complete yet.
    pub fn position(&self) -> Lsn {
        self.next
    }

    /// Where the last complete record begins.
    pub fn last(&self) -> Option<Lsn> {
        self.last
    }

    /// Takes the bytes at `address`: whole pages, the first of a segment with the segment's beginning, and each call
    /// where the one before ended. `found` gets every record; when it breaks, so does this.
    pub fn feed(
        &mut self,
        address: Lsn,
        bytes: &[u8],
        found: Found<'_>,
    ) -> Result<ControlFlow<()>, Invalid> {
        if self.segment_size.offset(address) == 0 {
            if self.inside.is_none() {
                self.page = address.advance(self.page_bytes());
            }
            self.begin_segment(bytes)?;
        }
        let mut address = address;
        for page in bytes.chunks(self.page_size) {
            if page.len() < self.page_size {
                return Err(self.invalid("the segment ends within a page".to_owned()));
            }
            if self.take_page(address, page, found)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            address = address.advance(self.page_bytes());
        }
        Ok(ControlFlow::Continue(()))
    }

    fn page_bytes(&self) -> u64 {
        u64::try_from(self.page_size).unwrap_or(8192)
    }

    fn invalid(&self, why: String) -> Invalid {
        Invalid {
            at: self.next,
            why,
            page_end: self.page,
            nothing: false,
        }
    }

    fn header(&self, page: &[u8]) -> Result<PageHeader, Invalid> {
        PageHeader::parse(page).map_err(|why| Invalid {
            nothing: page.iter().take(40).all(|&byte| byte == 0),
            ..self.invalid(why)
        })
    }

    /// Checks what the first page of a segment says of the cluster.
    fn begin_segment(&mut self, bytes: &[u8]) -> Result<(), Invalid> {
        let header = self.header(bytes)?;
        let Some(long) = header.long else {
            return Err(self.invalid("the segment has no long page header".to_owned()));
        };
        if self
            .system_identifier
            .is_some_and(|own| own != long.system_identifier)
        {
            let of = long.system_identifier;
            return Err(self.invalid(format!("the segment belongs to the system {of}")));
        }
        if u64::from(long.segment_size) != self.segment_size.bytes() {
            let size = long.segment_size;
            return Err(self.invalid(format!("the segment is one of {size} bytes")));
        }
        // XLOG_BLCKSZ is 1 to 64 KiB (configure --with-wal-blocksize).
        self.page_size = usize::try_from(long.page_size)
            .ok()
            .filter(|size| size.is_power_of_two() && (1024..=65536).contains(size))
            .ok_or_else(|| self.invalid(format!("pages of {} bytes", long.page_size)))?;
        Ok(())
    }

    fn take_page(
        &mut self,
        address: Lsn,
        page: &[u8],
        found: Found<'_>,
    ) -> Result<ControlFlow<()>, Invalid> {
        let end = address.advance(self.page_bytes());
        let expected = match self.inside {
            Some(_) => self.page,
            // Before the first record, or unused after a segment switch.
            None if end <= self.next => return Ok(ControlFlow::Continue(())),
            None => Lsn(self.next.0 - self.next.0 % self.page_bytes()),
        };
        if address != expected {
            return Err(self.invalid(format!("the page at {expected} is missing")));
        }
        self.page = end;
        let header = self.header(page)?;
        self.check_page(&header, address)?;
        let offset = match self.inside.take() {
            Some(record) if !header.is_overwrite() => {
                match self.resume(record, &header, page, found)? {
                    ControlFlow::Continue(Some(offset)) => offset,
                    ControlFlow::Continue(None) => return Ok(ControlFlow::Continue(())),
                    ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
                }
            }
            given_up => {
                if let Some(record) = given_up {
                    // The server died within that record, and went on here with another one.
                    self.spare = record.body;
                    self.next = address;
                }
                self.first_record(&header, address)?
            }
        };
        self.records(header.magic, page, address, offset, found)
    }

    /// `XLogReaderValidatePageHeader`.
    fn check_page(&mut self, header: &PageHeader, address: Lsn) -> Result<(), Invalid> {
        if header.address != address {
            return Err(self.invalid(format!(
                "the page at {address} is the one of {}",
                header.address
            )));
        }
        if header.timeline < self.timeline {
            return Err(self.invalid(format!(
                "the page at {address} is of timeline {} after {}",
                header.timeline, self.timeline
            )));
        }
        if (self.segment_size.offset(address) == 0) != header.long.is_some() {
            return Err(self.invalid(format!(
                "the page at {address} has the wrong kind of header"
            )));
        }
        self.timeline = header.timeline;
        Ok(())
    }

    /// Where on its page the next record begins.
    fn first_record(&mut self, header: &PageHeader, address: Lsn) -> Result<usize, Invalid> {
        let length = header.length();
        let offset = usize::try_from(self.next.since(address)).unwrap_or(usize::MAX);
        if offset != 0 && offset < length {
            return Err(self.invalid("there is a page header, not a record".to_owned()));
        }
        if offset <= length && header.flags & FIRST_IS_CONTINUATION != 0 {
            return Err(self.invalid("the middle of a record is there".to_owned()));
        }
        let offset = offset.max(length);
        self.next = address.advance(wide(offset));
        Ok(offset)
    }

    /// Goes on with a record from the page before. Continues with where the next one begins, unless this one goes on or
    /// none follows on this page.
    fn resume(
        &mut self,
        mut record: Assembly,
        header: &PageHeader,
        page: &[u8],
        found: Found<'_>,
    ) -> Result<ControlFlow<(), Option<usize>>, Invalid> {
        let address = header.address;
        let left = record.total - record.got;
        if header.flags & FIRST_IS_CONTINUATION == 0 {
            return Err(self.invalid(format!("it does not go on at {address}")));
        }
        if usize::try_from(header.remaining) != Ok(left) {
            let remaining = header.remaining;
            let why =
                format!("{left} bytes are left of it, the page at {address} says {remaining}");
            return Err(self.invalid(why));
        }
        let (_, rest) = page.split_at_checked(header.length()).unwrap_or_default();
        let (bytes, _) = rest.split_at_checked(left).unwrap_or((rest, &[]));
        self.absorb(&mut record, bytes)?;
        if record.got < record.total {
            self.inside = Some(record);
            return Ok(ControlFlow::Continue(None));
        }
        let offset = header.length() + left.next_multiple_of(ALIGNMENT);
        let end = address.advance(wide(offset));
        let flow = self.finish(record, end, header.magic, found)?;
        // A switch leaves the rest of its segment unused.
        let more = self.next == end;
        Ok(flow.map_continue(|()| more.then_some(offset)))
    }

    /// Takes the records that begin on a page, the first at `offset`.
    fn records(
        &mut self,
        magic: u16,
        page: &[u8],
        address: Lsn,
        mut offset: usize,
        found: Found<'_>,
    ) -> Result<ControlFlow<()>, Invalid> {
        while let Some((length, _)) = page.get(offset..).and_then(<[u8]>::split_first_chunk) {
            let length = u32::from_le_bytes(*length);
            RecordHeader::check_length(length).map_err(|why| Invalid {
                nothing: length == 0,
                ..self.invalid(why)
            })?;
            let mut record = Assembly::new(length, std::mem::take(&mut self.spare));
            let (_, rest) = page.split_at_checked(offset).unwrap_or_default();
            let (bytes, _) = rest.split_at_checked(record.total).unwrap_or((rest, &[]));
            self.absorb(&mut record, bytes)?;
            if record.got < record.total {
                self.inside = Some(record);
                break;
            }
            offset += bytes.len().next_multiple_of(ALIGNMENT);
            let end = address.advance(wide(offset));
            if self.finish(record, end, magic, found)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.next != end {
                break;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Adds bytes to a record; checks its header as soon as that is complete (`ValidXLogRecordHeader`).
    fn absorb(&self, record: &mut Assembly, bytes: &[u8]) -> Result<(), Invalid> {
        let rest = record.absorb_header(bytes);
        if let Some(header) = record.parsed {
            let sequel = match self.last {
                Some(last) => header.previous == last,
                None => header.previous < self.next,
            };
            if !sequel {
                let previous = header.previous;
                return Err(self.invalid(format!("its predecessor is at {previous}")));
            }
        }
        record.absorb_body(rest);
        Ok(())
    }

    /// Checks the checksum of a complete record (`ValidXLogRecord`) and hands it out.
    fn finish(
        &mut self,
        record: Assembly,
        end: Lsn,
        magic: u16,
        found: Found<'_>,
    ) -> Result<ControlFlow<()>, Invalid> {
        let Some(header) = record
            .parsed
            .filter(|header| record.checksum() == header.crc)
        else {
            return Err(self.invalid("its checksum is wrong".to_owned()));
        };
        let start = self.next;
        self.last = Some(start);
        self.next = end;
        if header.is_switch() && self.segment_size.offset(end) != 0 {
            let rest = self.segment_size.bytes() - self.segment_size.offset(end);
            self.next = end.advance(rest);
        }
        let flow = found(&Record {
            start,
            end: self.next,
            header,
            magic,
            body: &record.body,
        });
        self.spare = record.body;
        Ok(flow)
    }
}

impl Assembly {
    fn new(length: u32, mut body: Vec<u8>) -> Assembly {
        body.clear();
        Assembly {
            header: [0; HEADER_LENGTH],
            parsed: None,
            total: usize::try_from(length).unwrap_or(usize::MAX),
            got: 0,
            crc: 0,
            body,
        }
    }

    /// Takes what is missing of the header; the rest of the bytes.
    fn absorb_header<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let missing = self.header.get_mut(self.got..).unwrap_or_default();
        let count = missing.len().min(bytes.len());
        let (head, rest) = bytes.split_at_checked(count).unwrap_or_default();
        for (to, from) in missing.iter_mut().zip(head) {
            *to = *from;
        }
        self.got += count;
        if self.parsed.is_none() && self.got >= HEADER_LENGTH {
            self.parsed = RecordHeader::parse(&self.header);
        }
        rest
    }

    fn absorb_body(&mut self, bytes: &[u8]) {
        self.got += bytes.len();
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        if self.parsed.as_ref().is_some_and(Event::wants) {
            let room = KEPT.saturating_sub(self.body.len()).min(bytes.len());
            self.body.extend(bytes.iter().take(room));
        }
    }

    /// The CRC-32C of the body, then of the header up to `xl_crc`.
    fn checksum(&self) -> u32 {
        let (before, _) = self.header.split_at_checked(20).unwrap_or_default();
        crc32c::crc32c_append(self.crc, before)
    }
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
