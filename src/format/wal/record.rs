//! The header of a WAL record.

use super::cursor::Cursor;
use crate::unit::Lsn;

/// `SizeOfXLogRecord`.
pub(super) const HEADER_LENGTH: usize = 24;
/// The maximum size of a record in bytes: PostgreSQL allocates it in memory, at most 1 GiB
/// (`MaxAllocSize`; 1020 MiB from 16 on, `XLogRecordMaxSize`).
const MAX_LENGTH: u32 = 1 << 30;
/// `RM_XLOG_ID` (PostgreSQL `access/rmgrlist.h`).
pub(super) const RM_XLOG: u8 = 0;
/// `RM_XACT_ID`.
pub(super) const RM_XACT: u8 = 1;
/// `RM_TBLSPC_ID`.
pub(super) const RM_TBLSPC: u8 = 5;
/// `XLOG_SWITCH` (PostgreSQL `catalog/pg_control.h`).
const XLOG_SWITCH: u8 = 0x40;
/// The bits of `xl_info` that belong to the resource manager (`XLR_RMGR_INFO_MASK`).
pub(super) const RMGR_INFO_MASK: u8 = 0xF0;

/// The header of a WAL record (`XLogRecord`, PostgreSQL `access/xlogrecord.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// `xl_tot_len`: the size of the record in bytes.
    pub total_length: u32,
    /// `xl_xid`: the transaction, 0 for none.
    pub xid: u32,
    /// `xl_prev`: the start of the previous record.
    pub previous: Lsn,
    /// `xl_info`: flags.
    pub info: u8,
    /// `xl_rmid`: the resource manager.
    pub manager: u8,
    /// `xl_crc`: the CRC-32C of the record without this field.
    pub crc: u32,
}

impl RecordHeader {
    /// Parses a header; `None` if there are too few bytes.
    pub fn parse(bytes: &[u8]) -> Option<RecordHeader> {
        let mut cursor = Cursor(bytes);
        Some(RecordHeader {
            total_length: cursor.u32()?,
            xid: cursor.u32()?,
            previous: Lsn(cursor.u64()?),
            info: cursor.u8()?,
            manager: cursor.u8()?,
            // Two bytes of padding.
            crc: cursor.bytes(2).and_then(|_| cursor.u32())?,
        })
    }

    /// Whether a record may have this length (`ValidXLogRecordHeader`, PostgreSQL `xlogreader.c`).
    pub(super) fn check_length(total: u32) -> Result<(), String> {
        if (24..=MAX_LENGTH).contains(&total) {
            Ok(())
        } else if total == 0 {
            Err("there is no record".to_owned())
        } else {
            Err(format!("invalid record length {total}"))
        }
    }

    /// Whether this is `XLOG_SWITCH`, after which the rest of the segment is unused.
    pub fn is_switch(&self) -> bool {
        self.manager == RM_XLOG && self.info & RMGR_INFO_MASK == XLOG_SWITCH
    }
}

/// A complete record with a valid checksum.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The start (`ReadRecPtr`).
    pub start: Lsn,
    /// The earliest start of the next record (`EndRecPtr`); the end of the segment after
    /// `XLOG_SWITCH`.
    pub end: Lsn,
    /// The parsed and checked header.
    pub header: RecordHeader,
    /// `xlp_magic` of the page on which it ends.
    pub magic: u16,
    /// The bytes after the header, at most `MAX_BODY`; empty for records that decode to
    /// `Event::Other`.
    pub(super) body: &'a [u8],
}
