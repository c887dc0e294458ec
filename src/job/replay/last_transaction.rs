//! Finds the last transaction before a position.

use std::ops::ControlFlow;

use super::reader::WalReader;
use crate::error::Result;
use crate::format::wal::first_record;
use crate::unit::Lsn;

impl WalReader<'_> {
    /// The time of the last commit or abort before `position`, where a record begins: microseconds
    /// since 1970 UTC, by the server's clock. `None` if the WAL that reaches `position` without a
    /// gap has none. Reads segments backwards.
    pub fn last_end_of_transaction(&self, position: Lsn) -> Result<Option<i64>> {
        let size = self.segments.size();
        let mut limit = position;
        for number in (0..=position.0 / size.bytes()).rev() {
            // All of a segment may belong to one long record.
            let from = match self.first_record(number)? {
                FirstRecord::At(from) => from,
                FirstRecord::Absent => continue,
                FirstRecord::Unknown => return Ok(None),
            };
            if from >= limit {
                continue;
            }
            let (mut last, mut reached) = (None, false);
            let result = self.read(from, &mut |record, event| {
                reached = record.start >= limit;
                if reached {
                    return ControlFlow::Break(());
                }
                last = last.max(event.end_of_transaction().map(|(_, time)| time));
                ControlFlow::Continue(())
            })?;
            if last.is_some() {
                return Ok(last);
            }
            if !reached && result.end < limit {
                return Ok(None);
            }
            limit = from;
        }
        Ok(None)
    }

    /// Finds the first record of the segment `number` of the path.
    pub fn first_record(&self, number: u64) -> Result<FirstRecord> {
        let size = self.segments.size();
        let files = self.segments.files(self.history, number);
        let Some(file) = files.first() else {
            return Ok(FirstRecord::Unknown);
        };
        let Ok(Some(mut opened)) = self.segments.open(*file) else {
            return Ok(FirstRecord::Unknown);
        };
        Ok(match first_record(&mut opened.source) {
            Ok(Some(offset)) => FirstRecord::At(file.segment.start(size).advance(offset)),
            Ok(None) => FirstRecord::Absent,
            Err(_) => FirstRecord::Unknown,
        })
    }
}

/// The start of the first record of a segment.
pub enum FirstRecord {
    /// Here.
    At(Lsn),
    /// No record begins in the segment.
    Absent,
    /// The segment is missing or damaged.
    Unknown,
}
