//! Decodes the records in the bytes of segments.

use std::ops::ControlFlow;

use super::event::{Event, MAX_BODY};
use super::page::{FIRST_IS_CONTRECORD, PageHeader};
use super::record::{HEADER_LENGTH, Record, RecordHeader};
use crate::unit::{Lsn, SegmentSize, Timeline, to_u64, to_usize};

/// `MAXIMUM_ALIGNOF` on all supported platforms: records begin at multiples of it.
const ALIGNMENT: usize = 8;

/// The end of valid WAL, where PostgreSQL's recovery would end too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRecord {
    /// The start of the missing or invalid record, which is the end of valid WAL.
    pub at: Lsn,
    /// The reason, for messages.
    pub reason: String,
    /// The end of the page on which it was found. If no more WAL was received, only zeros follow.
    pub page_end: Lsn,
    /// Whether there are zeros instead of a record or a page, as after the end of what was written.
    pub zeros: bool,
}

/// Decodes the records of WAL that is fed in order, from the beginning of the segment with the
/// first record on. Checks what PostgreSQL's `xlogreader.c` checks (`XLogDecodeNextRecord`,
/// `XLogReaderValidatePageHeader`), in bounded memory. A clone continues at the same position with
/// other bytes.
#[derive(Clone)]
pub struct Decoder {
    system_identifier: Option<u64>,
    segment_size: SegmentSize,
    page_size: usize,
    /// The start of the next record, or of `partial`.
    next: Lsn,
    /// The end of the last page, where `partial` continues.
    page: Lsn,
    /// The start of the last complete record.
    last: Option<Lsn>,
    /// `xlp_tli` of the last page; 0 before the first one.
    timeline: u32,
    /// The timeline of the segment, and where it begins.
    expected: Option<(Timeline, Option<Lsn>)>,
    /// `xlp_magic` of the last page; 0 before the first one. Another one is of another version of
    /// PostgreSQL, and so of another cluster.
    magic: u16,
    partial: Option<PartialRecord>,
    /// The buffer of a record body, for reuse.
    spare_buffer: Vec<u8>,
}

/// A record that continues on the next page.
#[derive(Clone)]
struct PartialRecord {
    header: [u8; HEADER_LENGTH],
    parsed: Option<RecordHeader>,
    total: usize,
    received: usize,
    crc: u32,
    body: Vec<u8>,
}

type RecordHandler<'f> = &'f mut dyn FnMut(&Record<'_>) -> ControlFlow<()>;

impl Decoder {
    /// A decoder that begins at `start`, the start of a record. Segments must have this size, and
    /// this system identifier if there is one.
    pub fn new(start: Lsn, segment_size: SegmentSize, system_identifier: Option<u64>) -> Decoder {
        Decoder {
            system_identifier,
            segment_size,
            page_size: 8192,
            next: start,
            page: Lsn::ZERO,
            last: None,
            timeline: 0,
            expected: None,
            magic: 0,
            partial: None,
            spare_buffer: Vec::new(),
        }
    }

    /// The end of valid WAL so far: the start of the next or of the incomplete record.
    pub fn position(&self) -> Lsn {
        self.next
    }

    /// The start of the last complete record.
    pub fn last(&self) -> Option<Lsn> {
        self.last
    }

    /// Sets the timeline of the segment that is fed next, and where that timeline begins, if it is
    /// known. Pages from there on must be of the timeline; those before are of its ancestors.
    pub fn expect_timeline(&mut self, timeline: Timeline, begin: Option<Lsn>) {
        self.expected = Some((timeline, begin));
    }

    /// Decodes the bytes at `address`: whole pages, from the beginning of a segment on, each call
    /// from where the one before ended. `on_record` is called for every record; its `Break` is
    /// returned.
    pub fn feed(
        &mut self,
        address: Lsn,
        bytes: &[u8],
        on_record: RecordHandler<'_>,
    ) -> Result<ControlFlow<()>, InvalidRecord> {
        if self.segment_size.offset(address) == 0 {
            if self.partial.is_none() {
                self.page = address.advance(self.page_bytes());
            }
            self.begin_segment(bytes)?;
        }
        let mut address = address;
        for page in bytes.chunks(self.page_size) {
            if page.len() < self.page_size {
                return Err(self.invalid("the segment ends within a page".to_owned()));
            }
            if self.decode_page(address, page, on_record)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            address = address.advance(self.page_bytes());
        }
        Ok(ControlFlow::Continue(()))
    }

    fn page_bytes(&self) -> u64 {
        to_u64(self.page_size)
    }

    fn invalid(&self, why: String) -> InvalidRecord {
        InvalidRecord {
            at: self.next,
            reason: why,
            page_end: self.page,
            zeros: false,
        }
    }

    fn header(&self, page: &[u8]) -> Result<PageHeader, InvalidRecord> {
        PageHeader::parse(page).map_err(|why| InvalidRecord {
            zeros: page.iter().take(40).all(|&byte| byte == 0),
            ..self.invalid(why)
        })
    }

    /// Checks the long page header of a segment.
    fn begin_segment(&mut self, bytes: &[u8]) -> Result<(), InvalidRecord> {
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

    fn decode_page(
        &mut self,
        address: Lsn,
        page: &[u8],
        on_record: RecordHandler<'_>,
    ) -> Result<ControlFlow<()>, InvalidRecord> {
        let end = address.advance(self.page_bytes());
        let expected = match self.partial {
            Some(_) => self.page,
            // Before the first record, or unused after XLOG_SWITCH.
            None if end <= self.next => return Ok(ControlFlow::Continue(())),
            None => Lsn(self.next.0 - self.next.0 % self.page_bytes()),
        };
        if address != expected {
            return Err(self.invalid(format!("the page at {expected} is missing")));
        }
        self.page = end;
        let header = self.header(page)?;
        self.check_page(&header, address)?;
        let offset = match self.partial.take() {
            Some(record) if !header.is_overwrite_contrecord() => {
                match self.continue_record(record, &header, page, on_record)? {
                    ControlFlow::Continue(Some(offset)) => offset,
                    ControlFlow::Continue(None) => return Ok(ControlFlow::Continue(())),
                    ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
                }
            }
            abandoned => {
                if let Some(record) = abandoned {
                    // The server crashed while it wrote that record, and continued here with
                    // another one.
                    self.spare_buffer = record.body;
                    self.next = address;
                }
                self.first_record(&header, address)?
            }
        };
        self.decode_records(header.magic, page, address, offset, on_record)
    }

    /// `XLogReaderValidatePageHeader`.
    fn check_page(&mut self, header: &PageHeader, address: Lsn) -> Result<(), InvalidRecord> {
        if header.address != address {
            return Err(self.invalid(format!(
                "the page at {address} is the one of {}",
                header.address
            )));
        }
        let (found, expected) = (header.timeline, self.expected);
        if let Some((timeline, begin)) = expected
            && (found > timeline.number()
                || found < timeline.number() && begin.is_some_and(|begin| begin <= address))
        {
            return Err(self.invalid(format!(
                "the page at {address} is of timeline {found}, not of {timeline}"
            )));
        }
        if header.magic != self.magic && self.magic != 0 {
            return Err(self.invalid(format!(
                "the page at {address} has the magic {:04X} after {:04X}",
                header.magic, self.magic
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
        self.magic = header.magic;
        self.timeline = header.timeline;
        Ok(())
    }

    /// The offset of the next record on its page.
    fn first_record(&mut self, header: &PageHeader, address: Lsn) -> Result<usize, InvalidRecord> {
        let length = header.length();
        let offset = to_usize(self.next.since(address));
        if offset != 0 && offset < length {
            return Err(self.invalid("there is a page header, not a record".to_owned()));
        }
        if offset <= length && header.flags & FIRST_IS_CONTRECORD != 0 {
            return Err(self.invalid("the middle of a record is there".to_owned()));
        }
        let offset = offset.max(length);
        self.next = address.advance(to_u64(offset));
        Ok(offset)
    }

    /// Continues a record from the page before. Returns the offset of the next record on this page;
    /// `None` if there is none.
    fn continue_record(
        &mut self,
        mut record: PartialRecord,
        header: &PageHeader,
        page: &[u8],
        on_record: RecordHandler<'_>,
    ) -> Result<ControlFlow<(), Option<usize>>, InvalidRecord> {
        let address = header.address;
        let left = record.total - record.received;
        if header.flags & FIRST_IS_CONTRECORD == 0 {
            return Err(self.invalid(format!("it does not continue at {address}")));
        }
        if usize::try_from(header.remaining) != Ok(left) {
            let remaining = header.remaining;
            let why =
                format!("{left} bytes of it remain, but the page at {address} has {remaining}");
            return Err(self.invalid(why));
        }
        let (_, rest) = page.split_at_checked(header.length()).unwrap_or_default();
        let (bytes, _) = rest.split_at_checked(left).unwrap_or((rest, &[]));
        self.append(&mut record, bytes)?;
        if record.received < record.total {
            self.partial = Some(record);
            return Ok(ControlFlow::Continue(None));
        }
        let offset = header.length() + left.next_multiple_of(ALIGNMENT);
        let end = address.advance(to_u64(offset));
        let flow = self.complete(record, end, header.magic, on_record)?;
        // After XLOG_SWITCH the rest of the segment is unused.
        let more = self.next == end;
        Ok(flow.map_continue(|()| more.then_some(offset)))
    }

    /// Decodes the records that begin on a page, the first at `offset`.
    fn decode_records(
        &mut self,
        magic: u16,
        page: &[u8],
        address: Lsn,
        mut offset: usize,
        on_record: RecordHandler<'_>,
    ) -> Result<ControlFlow<()>, InvalidRecord> {
        while let Some((length, _)) = page.get(offset..).and_then(<[u8]>::split_first_chunk) {
            let length = u32::from_le_bytes(*length);
            RecordHeader::check_length(length).map_err(|why| InvalidRecord {
                zeros: length == 0,
                ..self.invalid(why)
            })?;
            let mut record = PartialRecord::new(length, std::mem::take(&mut self.spare_buffer));
            let (_, rest) = page.split_at_checked(offset).unwrap_or_default();
            let (bytes, _) = rest.split_at_checked(record.total).unwrap_or((rest, &[]));
            self.append(&mut record, bytes)?;
            if record.received < record.total {
                self.partial = Some(record);
                break;
            }
            offset += bytes.len().next_multiple_of(ALIGNMENT);
            let end = address.advance(to_u64(offset));
            if self.complete(record, end, magic, on_record)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.next != end {
                break;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Appends bytes to a record; checks its header as soon as that is complete
    /// (`ValidXLogRecordHeader`).
    fn append(&self, record: &mut PartialRecord, bytes: &[u8]) -> Result<(), InvalidRecord> {
        let rest = record.append_header(bytes);
        if let Some(header) = record.parsed {
            let in_order = match self.last {
                Some(last) => header.previous == last,
                None => header.previous < self.next,
            };
            if !in_order {
                let previous = header.previous;
                return Err(self.invalid(format!("its predecessor is at {previous}")));
            }
        }
        record.append_body(rest);
        Ok(())
    }

    /// Checks the checksum of a complete record (`ValidXLogRecord`) and passes it to `on_record`.
    fn complete(
        &mut self,
        record: PartialRecord,
        end: Lsn,
        magic: u16,
        on_record: RecordHandler<'_>,
    ) -> Result<ControlFlow<()>, InvalidRecord> {
        let Some(header) = record
            .parsed
            .filter(|header| record.checksum() == header.crc)
        else {
            return Err(self.invalid("its checksum does not match".to_owned()));
        };
        let start = self.next;
        self.last = Some(start);
        self.next = end;
        if header.is_switch() && self.segment_size.offset(end) != 0 {
            let rest = self.segment_size.bytes() - self.segment_size.offset(end);
            self.next = end.advance(rest);
        }
        let flow = on_record(&Record {
            start,
            end: self.next,
            header,
            magic,
            body: &record.body,
        });
        self.spare_buffer = record.body;
        Ok(flow)
    }
}

impl PartialRecord {
    fn new(length: u32, mut body: Vec<u8>) -> PartialRecord {
        body.clear();
        PartialRecord {
            header: [0; HEADER_LENGTH],
            parsed: None,
            total: to_usize(length.into()),
            received: 0,
            crc: 0,
            body,
        }
    }

    /// Completes the header; returns the rest of the bytes.
    fn append_header<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let missing = self.header.get_mut(self.received..).unwrap_or_default();
        let count = missing.len().min(bytes.len());
        let (head, rest) = bytes.split_at_checked(count).unwrap_or_default();
        for (to, from) in missing.iter_mut().zip(head) {
            *to = *from;
        }
        self.received += count;
        if self.parsed.is_none() && self.received >= HEADER_LENGTH {
            self.parsed = RecordHeader::parse(&self.header);
        }
        rest
    }

    fn append_body(&mut self, bytes: &[u8]) {
        self.received += bytes.len();
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        if self.parsed.as_ref().is_some_and(Event::reads_body) {
            let room = MAX_BODY.saturating_sub(self.body.len()).min(bytes.len());
            self.body.extend(bytes.iter().take(room));
        }
    }

    /// The CRC-32C of the body, then of the header up to `xl_crc`.
    fn checksum(&self) -> u32 {
        let (before, _) = self.header.split_at_checked(20).unwrap_or_default();
        crc32c::crc32c_append(self.crc, before)
    }
}
