//! The header of a WAL record.

use super::cursor::Cursor;
use crate::unit::Lsn;

/// `SizeOfXLogRecord`.
pub(super) const HEADER_LENGTH: usize = 24;
/// The longest record that we believe in: PostgreSQL allocates one in memory, at most 1 GiB (`MaxAllocSize`; 1020 MiB
/// from 16 on, `XLogRecordMaxSize`).
const LONGEST: u32 = 1 << 30;
/// `RM_XLOG_ID` (PostgreSQL `access/rmgrlist.h`).
pub(super) const RM_XLOG: u8 = 0;
/// `RM_XACT_ID`.
pub(super) const RM_XACT: u8 = 1;
/// `RM_TBLSPC_ID`.
pub(super) const RM_TBLSPC: u8 = 5;
/// `XLOG_SWITCH` (PostgreSQL `catalog/pg_control.h`).
const XLOG_SWITCH: u8 = 0x40;
/// The bits of `xl_info` that belong to the resource manager (`XLR_RMGR_INFO_MASK`).
pub(super) const INFO_OF_MANAGER: u8 = 0xF0;

/// The header of a WAL record (`XLogRecord`, PostgreSQL `access/xlogrecord.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// `xl_tot_len`: bytes of the whole record.
    pub total_length: u32,
    /// `xl_xid`: the transaction, 0 for none.
    pub xid: u32,
    /// `xl_prev`: where the record before begins.
    pub previous: Lsn,
    /// `xl_info`: flags.
    pub info: u8,
    /// `xl_rmid`: the resource manager.
    pub manager: u8,
    /// `xl_crc`: the CRC-32C of all but itself.
    pub crc: u32,
}

impl RecordHeader {
    /// Reads a header; `None` if there are not enough bytes.
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
        if (24..=LONGEST).contains(&total) {
            Ok(())
        } else if total == 0 {
            Err("there is no record".to_owned())
        } else {
            Err(format!("{total} bytes is no length of a record"))
        }
    }

    /// Whether this is the record after which the rest of its segment is unused.
    pub fn is_switch(&self) -> bool {
        self.manager == RM_XLOG && self.info & INFO_OF_MANAGER == XLOG_SWITCH
    }
}

/// A whole record with a right checksum.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it begins (`ReadRecPtr`).
    pub start: Lsn,
    /// Where the next one can begin at the earliest (`EndRecPtr`); the end of the segment after a segment switch.
    pub end: Lsn,
    /// Its header.
    pub header: RecordHeader,
    /// `xlp_magic` of the page on which it ends.
    pub magic: u16,
    /// What follows the header; empty for records that [`super::Event`] does not know.
    pub(super) body: &'a [u8],
}
