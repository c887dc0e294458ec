//! Generates WAL for tests.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use crate::unit::{Lsn, SegmentSize};

pub(crate) const PAGE: usize = 8192;
pub(crate) const MIB: usize = 1 << 20;
pub(crate) const SYSTEM: u64 = 7_000_000_000_000_000_001;

pub(crate) fn size() -> SegmentSize {
    SegmentSize::new(MIB as u64).unwrap()
}

/// Writes WAL as PostgreSQL 17 does, from the beginning of segment 1. A clone branches off.
#[derive(Clone)]
pub(crate) struct Writer {
    pub bytes: Vec<u8>,
    pub last: Lsn,
    pub timeline: u32,
    pub magic: u16,
}

impl Writer {
    pub(crate) fn new() -> Writer {
        Writer {
            bytes: Vec::new(),
            last: Lsn::ZERO,
            timeline: 1,
            magic: 0xD116,
        }
    }

    /// The end of the last record.
    pub(crate) fn position(&self) -> Lsn {
        Lsn((MIB + self.bytes.len()) as u64)
    }

    fn header(&mut self, flags: u16, remaining: usize) {
        let first = self.bytes.len().is_multiple_of(MIB);
        let address = self.position();
        let put = &mut self.bytes;
        put.extend(self.magic.to_le_bytes());
        put.extend((flags | if first { 2 } else { 0 }).to_le_bytes());
        put.extend(self.timeline.to_le_bytes());
        put.extend(address.0.to_le_bytes());
        put.extend((remaining as u32).to_le_bytes());
        put.extend([0; 4]);
        if first {
            put.extend(SYSTEM.to_le_bytes());
            put.extend((MIB as u32).to_le_bytes());
            put.extend((PAGE as u32).to_le_bytes());
        }
    }

    /// Adds a record; returns its start.
    pub(crate) fn record(&mut self, manager: u8, info: u8, body: &[u8]) -> Lsn {
        self.record_with_flags(manager, info, body, 0)
    }

    /// Adds a record; a page that begins with it has these flags.
    pub(crate) fn record_with_flags(
        &mut self,
        manager: u8,
        info: u8,
        body: &[u8],
        flags: u16,
    ) -> Lsn {
        let mut record = Vec::new();
        record.extend((24 + body.len() as u32).to_le_bytes());
        record.extend(700u32.to_le_bytes());
        record.extend(self.last.0.to_le_bytes());
        record.extend([info, manager, 0, 0]);
        let crc = crc32c::crc32c_append(crc32c::crc32c(body), &record);
        record.extend(crc.to_le_bytes());
        record.extend(body);
        if self.bytes.len().is_multiple_of(PAGE) {
            self.header(flags, 0);
        }
        let start = self.position();
        self.last = start;
        let mut left = record.as_slice();
        loop {
            let room = (PAGE - self.bytes.len() % PAGE).min(left.len());
            self.bytes.extend(&left[..room]);
            left = &left[room..];
            if left.is_empty() {
                break;
            }
            self.header(1, left.len());
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        start
    }

    /// The segments, the last one filled with zeros.
    pub(crate) fn segments(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len().next_multiple_of(MIB), 0);
        self.bytes
    }
}

/// The main data of a record without blocks.
pub(crate) fn main_data(data: &[u8]) -> Vec<u8> {
    let mut body = vec![254];
    body.extend((data.len() as u32).to_le_bytes());
    body.extend(data);
    body
}
