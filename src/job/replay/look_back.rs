//! What happened before a position.

use std::ops::ControlFlow;

use super::walk::Walk;
use crate::error::Result;
use crate::format::wal::first_record;
use crate::unit::Lsn;

impl Walk<'_> {
    /// The time of the last end of a transaction before `position`, where a record begins: microseconds since 1970 UTC,
    /// by the server's clock. `None` if there is none in the WAL that reaches there without a gap. Reads segments
    /// backwards until it finds one.
    pub fn last_end_of_transaction(&self, position: Lsn) -> Result<Option<i64>> {
        let size = self.segments.size();
        let mut limit = position;
        for number in (0..=position.0 / size.bytes()).rev() {
            // A segment may be the middle of a long record.
            let from = match self.first_record(number)? {
                Begin::At(from) => from,
                Begin::Nowhere => continue,
                Begin::Unknown => return Ok(None),
            };
            if from >= limit {
                continue;
            }
            let (mut last, mut reached) = (None, false);
            let walked = self.run(from, &mut |record, event| {
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
            if !reached && walked.end < limit {
                return Ok(None);
            }
            limit = from;
        }
        Ok(None)
    }

    /// Where the first record of a segment begins.
    fn first_record(&self, number: u64) -> Result<Begin> {
        let size = self.segments.size();
        let files = self.segments.files(self.history, number);
        let Some(file) = files.first() else {
            return Ok(Begin::Unknown);
        };
        let Ok(Some(mut opened)) = self.segments.open(*file) else {
            return Ok(Begin::Unknown);
        };
        Ok(match first_record(&mut opened.source) {
            Ok(Some(offset)) => Begin::At(file.segment.start(size).advance(offset)),
            Ok(None) => Begin::Nowhere,
            Err(_) => Begin::Unknown,
        })
    }
}

enum Begin {
    At(Lsn),
    /// No record begins in the segment.
    Nowhere,
    /// It is missing or damaged.
    Unknown,
}
