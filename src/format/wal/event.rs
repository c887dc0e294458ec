//! The records that a restore needs: recovery targets, checkpoints, settings and tablespaces.

use super::cursor::Cursor;
use super::page::{MAGIC_18, MAGIC_19};
use super::record::{RM_TBLSPC, RM_XACT, RM_XLOG, RMGR_INFO_MASK, Record, RecordHeader};
use crate::format::Parameters;
use crate::unit::Lsn;

/// Microseconds from 1970-01-01 to 2000-01-01 UTC, PostgreSQL's epoch (`POSTGRES_EPOCH_JDATE`).
const EPOCH_2000: i64 = 946_684_800_000_000;

/// `XLOG_XACT_OPMASK` and its values (PostgreSQL `access/xact.h`).
const XACT_OPMASK: u8 = 0x70;
const XACT_COMMIT: u8 = 0x00;
const XACT_ABORT: u8 = 0x20;
const XACT_COMMIT_PREPARED: u8 = 0x30;
const XACT_ABORT_PREPARED: u8 = 0x40;
/// `XLOG_XACT_HAS_INFO`: `xinfo` follows.
const XACT_HAS_INFO: u8 = 0x80;

/// Bits of `xinfo` (`XACT_XINFO_HAS_…`).
const HAS_DBINFO: u32 = 1 << 0;
const HAS_SUBXACTS: u32 = 1 << 1;
const HAS_RELFILELOCATORS: u32 = 1 << 2;
const HAS_INVALIDATIONS: u32 = 1 << 3;
const HAS_TWOPHASE: u32 = 1 << 4;
const HAS_DROPPED_STATS: u32 = 1 << 8;

/// Records of `RM_XLOG_ID` (PostgreSQL `catalog/pg_control.h`).
const CHECKPOINT_SHUTDOWN: u8 = 0x00;
const CHECKPOINT_ONLINE: u8 = 0x10;
const BACKUP_END: u8 = 0x50;
const PARAMETER_CHANGE: u8 = 0x60;
const RESTORE_POINT: u8 = 0x70;
const END_OF_RECOVERY: u8 = 0x90;

/// `XLOG_TBLSPC_CREATE` (PostgreSQL `commands/tablespace.h`).
const TABLESPACE_CREATE: u8 = 0x00;

/// Bytes of a record body that are buffered for [`Event::decode`]: the xid of a prepared
/// transaction follows its subtransactions and dropped files; enough for four million
/// subtransactions.
pub(super) const MAX_BODY: usize = 16 << 20;

/// The content of a record that a restore needs. Times are microseconds since 1970 UTC, by the
/// server's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A commit, also of a prepared transaction (`XLOG_XACT_COMMIT`, `XLOG_XACT_COMMIT_PREPARED`).
    Commit {
        /// The top-level transaction.
        xid: u32,
        /// When.
        time: i64,
    },
    /// An abort, also of a prepared transaction (`XLOG_XACT_ABORT`, `XLOG_XACT_ABORT_PREPARED`).
    Abort {
        /// The top-level transaction.
        xid: u32,
        /// When.
        time: i64,
    },
    /// A call of `pg_create_restore_point` (`xl_restore_point`).
    RestorePoint {
        /// The name, which need not be UTF-8.
        name: Vec<u8>,
        /// When it was created.
        time: i64,
    },
    /// A completed checkpoint (`CheckPoint`).
    Checkpoint {
        /// The redo position.
        redo: Lsn,
        /// When it began; whole seconds.
        time: i64,
    },
    /// The end of a backup (`XLOG_BACKUP_END`).
    BackupEnd {
        /// The start position of that backup.
        start: Lsn,
    },
    /// A start of the server with other settings (`XLOG_PARAMETER_CHANGE`).
    ParameterChange(Parameters),
    /// The end of recovery, the start of a timeline (`xl_end_of_recovery`).
    EndOfRecovery {
        /// The new timeline.
        timeline: u32,
        /// The timeline that it branches off.
        previous: u32,
        /// When recovery ended.
        time: i64,
    },
    /// `CREATE TABLESPACE` (`xl_tblspc_create_rec`).
    CreateTablespace {
        /// The OID of the tablespace.
        oid: u32,
        /// Its location; empty if it is below `pg_tblspc` (`allow_in_place_tablespaces`).
        path: Vec<u8>,
    },
    /// One of these records, from a version of PostgreSQL whose format is unknown.
    UnknownVersion {
        /// `xlp_magic` of its page.
        magic: u16,
    },
    /// Any other record.
    Other,
}

impl Event {
    /// Whether [`Event::decode`] needs the body of records with this header.
    pub(super) fn reads_body(header: &RecordHeader) -> bool {
        let info = header.info & RMGR_INFO_MASK;
        match header.manager {
            RM_XACT => matches!(
                info & XACT_OPMASK,
                XACT_COMMIT | XACT_ABORT | XACT_COMMIT_PREPARED | XACT_ABORT_PREPARED
            ),
            RM_XLOG => matches!(
                info,
                CHECKPOINT_SHUTDOWN
                    | CHECKPOINT_ONLINE
                    | BACKUP_END
                    | PARAMETER_CHANGE
                    | RESTORE_POINT
                    | END_OF_RECOVERY
            ),
            RM_TBLSPC => info == TABLESPACE_CREATE,
            _ => false,
        }
    }

    /// Decodes a record. `Err` if its checksum is valid but its structure is unknown.
    pub fn decode(record: &Record<'_>) -> Result<Event, String> {
        if !Event::reads_body(&record.header) {
            return Ok(Event::Other);
        }
        let magic = record.magic;
        if magic > MAGIC_19 {
            return Ok(Event::UnknownVersion { magic });
        }
        let parse = match record.header.manager {
            RM_XACT => decode_xact,
            RM_TBLSPC => decode_tablespace,
            _ => decode_xlog,
        };
        main_data(record.body)
            .and_then(|data| parse(record, Cursor(data)))
            .ok_or_else(|| format!("record {} has an unknown structure", record.start))
    }

    /// The transaction ID and the time of a commit or abort, the records that can match a target
    /// time.
    pub fn end_of_transaction(&self) -> Option<(u32, i64)> {
        match *self {
            Event::Commit { xid, time } | Event::Abort { xid, time } => Some((xid, time)),
            _ => None,
        }
    }
}

/// The main data of a record without block references (PostgreSQL `access/xlogrecord.h`,
/// `DecodeXLogRecord`).
fn main_data(body: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor(body);
    loop {
        let length = match cursor.u8()? {
            // XLR_BLOCK_ID_ORIGIN: the replication origin.
            253 => {
                cursor.u16()?;
                continue;
            }
            // XLR_BLOCK_ID_TOPLEVEL_XID.
            252 => {
                cursor.u32()?;
                continue;
            }
            // XLR_BLOCK_ID_DATA_SHORT.
            255 => u32::from(cursor.u8()?),
            // XLR_BLOCK_ID_DATA_LONG.
            254 => cursor.u32()?,
            _ => return None,
        };
        // Of a very long record only the beginning is buffered.
        let length = usize::try_from(length).ok()?.min(cursor.0.len());
        return cursor.bytes(length);
    }
}

fn since_1970(time: i64) -> Option<i64> {
    time.checked_add(EPOCH_2000)
}

/// `xl_xact_commit` and `xl_xact_abort` (PostgreSQL `access/xact.h`, `ParseCommitRecord` and
/// `ParseAbortRecord`).
fn decode_xact(record: &Record<'_>, mut data: Cursor<'_>) -> Option<Event> {
    let time = since_1970(data.i64()?)?;
    let operation = record.header.info & XACT_OPMASK;
    let prepared = matches!(operation, XACT_COMMIT_PREPARED | XACT_ABORT_PREPARED);
    let xid = if prepared {
        prepared_xid(record, data)?
    } else {
        record.header.xid
    };
    Some(match operation {
        XACT_COMMIT | XACT_COMMIT_PREPARED => Event::Commit { xid, time },
        _ => Event::Abort { xid, time },
    })
}

/// The xid of `xl_xact_twophase`, which follows the other optional parts.
fn prepared_xid(record: &Record<'_>, mut data: Cursor<'_>) -> Option<u32> {
    if record.header.info & XACT_HAS_INFO == 0 {
        return None;
    }
    let xinfo = data.u32()?;
    if xinfo & HAS_DBINFO != 0 {
        data.bytes(8)?;
    }
    if xinfo & HAS_SUBXACTS != 0 {
        data.skip_items(4)?;
    }
    if xinfo & HAS_RELFILELOCATORS != 0 {
        data.skip_items(12)?;
    }
    if xinfo & HAS_DROPPED_STATS != 0 {
        // xl_xact_stats_item: PostgreSQL 18 widened the object's identifier.
        data.skip_items(if record.magic >= MAGIC_18 { 16 } else { 12 })?;
    }
    if xinfo & HAS_INVALIDATIONS != 0 {
        data.skip_items(16)?;
    }
    (xinfo & HAS_TWOPHASE != 0).then_some(())?;
    data.u32()
}

/// `xl_tblspc_create_rec`: the path ends with a zero byte.
fn decode_tablespace(_: &Record<'_>, mut data: Cursor<'_>) -> Option<Event> {
    let oid = data.u32()?;
    let path = data.0.split(|&byte| byte == 0).next()?.to_vec();
    Some(Event::CreateTablespace { oid, path })
}

fn decode_xlog(record: &Record<'_>, mut data: Cursor<'_>) -> Option<Event> {
    Some(match record.header.info & RMGR_INFO_MASK {
        RESTORE_POINT => {
            let time = since_1970(data.i64()?)?;
            // rp_name[MAXFNAMELEN], ended by a zero byte.
            let name = data.bytes(64)?.split(|&byte| byte == 0).next()?.to_vec();
            Event::RestorePoint { name, time }
        }
        END_OF_RECOVERY => Event::EndOfRecovery {
            time: since_1970(data.i64()?)?,
            timeline: data.u32()?,
            previous: data.u32()?,
        },
        BACKUP_END => Event::BackupEnd {
            start: Lsn(data.u64()?),
        },
        PARAMETER_CHANGE => {
            let mut next = || i32::try_from(data.u32()?).ok();
            Event::ParameterChange(Parameters {
                limits: [next()?, next()?, next()?, next()?, next()?],
                wal_level: next()?,
            })
        }
        _ => {
            // CheckPoint: `redo` is first; `time`, seconds since 1970, is at byte 64 up to
            // PostgreSQL 18. 19 has logicalDecodingEnabled and a multixact offset of 64 bits before
            // it.
            let redo = Lsn(data.u64()?);
            data.bytes(if record.magic > MAGIC_18 { 64 } else { 56 })?;
            let time = data.i64()?.checked_mul(1_000_000)?;
            Event::Checkpoint { redo, time }
        }
    })
}
