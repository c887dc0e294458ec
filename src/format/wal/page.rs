//! The header of a WAL page.

use std::io::{ErrorKind, Read};

use super::cursor::Cursor;
use crate::unit::{Lsn, to_u64, to_usize};

/// `MAXIMUM_ALIGNOF` on all supported platforms: records begin at multiples of it.
const ALIGNMENT: u64 = 8;

/// `XLP_FIRST_IS_CONTRECORD`: the page begins in the middle of a record.
pub(super) const FIRST_IS_CONTRECORD: u16 = 0x0001;
/// `XLP_LONG_HEADER`: the header is a long one.
const LONG_HEADER: u16 = 0x0002;
/// `XLP_FIRST_IS_OVERWRITE_CONTRECORD`: the record that would continue here was abandoned, another
/// begins. Up to PostgreSQL 18 there was `XLP_BKP_REMOVABLE` before it.
const FIRST_IS_OVERWRITE_CONTRECORD_18: u16 = 0x0008;
const FIRST_IS_OVERWRITE_CONTRECORD: u16 = 0x0004;
/// `XLP_ALL_FLAGS`, up to PostgreSQL 18 and in 19.
const ALL_FLAGS_18: u16 = 0x000F;
const ALL_FLAGS: u16 = 0x0007;

/// `XLOG_PAGE_MAGIC` of PostgreSQL 13, the oldest supported version. Later versions have 0xD10D
/// (14), 0xD110 (15), 0xD113 (16), 0xD116 (17), 0xD118 (18), 0xD120 (19) and higher values.
const OLDEST_MAGIC: u16 = 0xD106;
const NEWEST_MAGIC: u16 = 0xD2FF;
/// `XLOG_PAGE_MAGIC` of PostgreSQL 18.
pub(super) const MAGIC_18: u16 = 0xD118;
/// `XLOG_PAGE_MAGIC` of PostgreSQL 19, the newest version with known record formats.
pub(super) const MAGIC_19: u16 = 0xD120;

/// The header of a WAL page (`XLogPageHeaderData`, PostgreSQL `access/xlog_internal.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageHeader {
    /// `xlp_magic`: the version of the format.
    pub magic: u16,
    /// `xlp_info`: flags.
    pub flags: u16,
    /// `xlp_tli`: the timeline of the first record on the page.
    pub timeline: u32,
    /// `xlp_pageaddr`: the position of the page.
    pub address: Lsn,
    /// `xlp_rem_len`: the bytes that remain of the record from the page before.
    pub remaining: u32,
    /// The additional fields of the first page of a segment.
    pub long: Option<LongHeader>,
}

/// The additional fields of the first page of a segment (`XLogLongPageHeaderData`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeader {
    /// `xlp_sysid`: the system identifier of the cluster.
    pub system_identifier: u64,
    /// `xlp_seg_size`: the size of a segment.
    pub segment_size: u32,
    /// `xlp_xlog_blcksz`: the size of a page.
    pub page_size: u32,
}

/// The offset in bytes of the first record in a segment; `None` if none begins there. `Err` has the
/// reason why the segment cannot be read.
pub fn first_record(segment: &mut impl Read) -> Result<Option<u64>, String> {
    let mut start = 0;
    let mut page = vec![0; PageHeader::MAX_LENGTH];
    let mut size = 0;
    loop {
        let read = segment.read_exact(&mut page);
        match read {
            // The end of the segment.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof && start > 0 => return Ok(None),
            read => read.map_err(|error| error.to_string())?,
        }
        let header = PageHeader::parse(&page)?;
        if let Some(long) = header.long {
            size = to_usize(long.page_size.into());
        }
        let rest = size.checked_sub(PageHeader::MAX_LENGTH);
        let rest = rest.filter(|_| size <= 65536).ok_or("no size of a page")?;
        let page_size = u32::try_from(size).unwrap_or(0);
        let offset = header.first_record(page_size);
        if let Some(offset) = offset.filter(|offset| *offset < u64::from(page_size)) {
            return Ok(Some(start + offset));
        }
        start += to_u64(size);
        let mut skipped = segment.take(to_u64(rest));
        std::io::copy(&mut skipped, &mut std::io::sink()).map_err(|error| error.to_string())?;
    }
}

impl PageHeader {
    /// The size in bytes of a long header (`SizeOfXLogLongPHD`).
    pub const MAX_LENGTH: usize = 40;

    /// Parses the header of a page. `Err` has the reason why it is invalid.
    pub fn parse(page: &[u8]) -> Result<PageHeader, String> {
        let short = "the page ends within its header";
        let mut cursor = Cursor(page);
        let header = PageHeader::fixed(&mut cursor).ok_or(short)?;
        if !(OLDEST_MAGIC..=NEWEST_MAGIC).contains(&header.magic) {
            return Err(format!("page magic {:04X} is not known", header.magic));
        }
        let known = if header.magic <= MAGIC_18 {
            ALL_FLAGS_18
        } else if header.magic <= MAGIC_19 {
            ALL_FLAGS
        } else {
            // Later versions may add flags.
            u16::MAX
        };
        if header.flags & !known != 0 {
            return Err(format!("page flags {:04X} are not known", header.flags));
        }
        if header.flags & LONG_HEADER == 0 {
            return Ok(header);
        }
        let long = PageHeader::long(&mut cursor).ok_or(short)?;
        Ok(PageHeader {
            long: Some(long),
            ..header
        })
    }

    fn fixed(cursor: &mut Cursor<'_>) -> Option<PageHeader> {
        let header = PageHeader {
            magic: cursor.u16()?,
            flags: cursor.u16()?,
            timeline: cursor.u32()?,
            address: Lsn(cursor.u64()?),
            remaining: cursor.u32()?,
            long: None,
        };
        // Padding to a multiple of 8 bytes (MAXALIGN).
        cursor.bytes(4)?;
        Some(header)
    }

    fn long(cursor: &mut Cursor<'_>) -> Option<LongHeader> {
        Some(LongHeader {
            system_identifier: cursor.u64()?,
            segment_size: cursor.u32()?,
            page_size: cursor.u32()?,
        })
    }

    /// The offset of the first record on a page of `size` bytes, at most `size`; `None` if all of
    /// the page belongs to a record that began before (`XLogFindNextRecord`, PostgreSQL 18
    /// `xlogreader.c`).
    pub fn first_record(&self, size: u32) -> Option<u64> {
        let rest = if self.flags & FIRST_IS_CONTRECORD == 0 {
            0
        } else {
            u64::from(self.remaining).next_multiple_of(ALIGNMENT)
        };
        let header = to_u64(self.length());
        let offset = header + rest;
        (offset <= u64::from(size)).then_some(offset)
    }

    /// Whether the record that would continue on this page was abandoned.
    pub(super) fn is_overwrite_contrecord(&self) -> bool {
        let flag = if self.magic <= MAGIC_18 {
            FIRST_IS_OVERWRITE_CONTRECORD_18
        } else {
            FIRST_IS_OVERWRITE_CONTRECORD
        };
        self.flags & flag != 0
    }

    /// The size in bytes of the header (`SizeOfXLogShortPHD`, `SizeOfXLogLongPHD`).
    pub fn length(&self) -> usize {
        if self.long.is_some() { 40 } else { 24 }
    }
}
