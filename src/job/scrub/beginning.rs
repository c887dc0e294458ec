//! Reads the beginning of a timeline together with the WAL before it: its first segment begins with
//! a copy of WAL of its ancestors, which recovery reads from there.

use std::ops::ControlFlow;
use std::path::Path;

use crate::error::Result;
use crate::job::replay::{FirstRecord, ReadResult, Stopped, WalReader};
use crate::unit::{Lsn, Segment};

/// How far before a timeline a record may begin that its first segment continues, bytes: the
/// length of a record is limited to 1 GiB (`XLogRecordMaxSize`).
const MAX_RECORD_SIZE: u64 = 1 << 30;

/// The beginning of a timeline.
pub(super) struct Beginning<'a> {
    /// Reads along its history.
    pub reader: WalReader<'a>,
    /// Where it begins.
    pub switch: Lsn,
    /// Where the oldest backup begins: WAL before that is not read.
    pub needed: Lsn,
    /// Whether the WAL of an ancestor is known to be damaged at a position.
    pub is_damaged: &'a dyn Fn(Lsn) -> bool,
    /// How much is read.
    pub interval: u64,
}

impl Beginning<'_> {
    /// Reads from a record before the timeline on, so that all of its first segment is checked, and
    /// that its first record follows the one before; from where the timeline begins on, if the WAL
    /// before it cannot be read. Returns from where it was read.
    pub(super) fn read(&self) -> Result<(Lsn, ReadResult)> {
        for from in self.starts()? {
            if let Some(result) = self.read_from(from)? {
                return Ok((from, result));
            }
        }
        let result = self.reader.read_at_most(self.switch, self.interval)?;
        Ok((self.switch, result))
    }

    /// Where a record begins before the first segment, and in it.
    fn starts(&self) -> Result<Vec<Lsn>> {
        let size = self.reader.segments.size();
        let number = self.switch.0 / size.bytes();
        let mut starts = Vec::new();
        for before in (0..number).rev() {
            let distance = (number - before).saturating_mul(size.bytes());
            let files = self.reader.segments.files(self.reader.history, before);
            if files.is_empty() || distance > MAX_RECORD_SIZE.saturating_add(size.bytes()) {
                break;
            }
            match self.reader.first_record(before)? {
                FirstRecord::At(from) => {
                    starts.push(from.max(self.needed));
                    break;
                }
                FirstRecord::Absent => {}
                FirstRecord::Unknown => break,
            }
        }
        if let FirstRecord::At(from) = self.reader.first_record(number)? {
            starts.push(from.max(self.needed));
        }
        starts.retain(|from| *from < self.switch);
        starts.dedup();
        Ok(starts)
    }

    /// Reads over the switch; `None` if the WAL before the first segment cannot be read, which is
    /// reported for its own timeline, or if no record begins at the switch.
    fn read_from(&self, from: Lsn) -> Result<Option<ReadResult>> {
        let mut is_crossed = false;
        let result = self.reader.read(from, &mut |record, _| {
            is_crossed = record.start < self.switch && self.switch < record.end;
            let more = record.end <= self.switch || record.end.since(from) < self.interval;
            match more && !is_crossed {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        })?;
        let size = self.reader.segments.size();
        let first = self.switch.0 / size.bytes();
        let failed = match &result.stopped {
            Stopped::ByCaller => None,
            Stopped::EndOfWal(segment) | Stopped::Missing(segment, _) => Some(segment.number),
            Stopped::Damaged(path, _) => {
                let name = Path::new(path).file_name().and_then(|name| name.to_str());
                let name = name.and_then(|name| name.get(..24));
                name.and_then(|name| Segment::parse(name, size))
                    .map(|segment| segment.number)
            }
        };
        let reached = result.end >= self.switch;
        let is_own = failed.is_some_and(|number| number >= first)
            && (result.end.0 / size.bytes() >= first || !(self.is_damaged)(result.end));
        Ok((!is_crossed && (reached || is_own)).then_some(result))
    }
}
