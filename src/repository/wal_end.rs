//! Where a WAL archive ends on the way to a timeline.

use super::{WalDirectory, WalFile};
use crate::error::{Context, Result};
use crate::format::TimelineHistory;
use crate::storage;
use crate::unit::{Lsn, Timeline};

/// Where an archive ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalEnd {
    /// The newest timeline of the way of which there is WAL.
    pub timeline: Timeline,
    /// The start of the segment to receive next: the partial one, or the one after the last complete one. Where the way
    /// leaves the timeline in the last segment that counts, this may lie behind the switch.
    pub next: Lsn,
    /// After the last byte of the timeline that is there, also where the way has left the timeline before it. Of a
    /// partial segment more zeros may have been received.
    pub received: Lsn,
    /// The file that ends at `received`.
    pub file: WalFile,
}

impl WalDirectory {
    /// Where the archive ends on the way that `history` describes: on the newest timeline of which there is WAL, as far as
    /// it is part of the way. `None` without any segment on the way; there may be some of other branches.
    pub fn end_along(&self, history: &TimelineHistory) -> Result<Option<WalEnd>> {
        let segments = self.segments()?;
        let size = self.segment_size().bytes();
        for timeline in history.timelines().rev() {
            let begin = history.begin_of(timeline).unwrap_or(Lsn::ZERO);
            let end = history.end_of(timeline);
            if end.is_some_and(|end| end <= begin) {
                continue;
            }
            let first = begin.0 / size;
            let last = end.map_or(u64::MAX, |end| end.0.saturating_sub(1) / size);
            let own = || {
                segments
                    .iter()
                    .filter(|file| file.segment.timeline == timeline)
            };
            let on_way = own().rfind(|file| (first..=last).contains(&file.segment.number));
            if let (Some(on_way), Some(newest)) = (on_way, own().next_back()) {
                let (next, _) = self.end_of_file(on_way)?;
                let (_, received) = self.end_of_file(newest)?;
                return Ok(Some(WalEnd {
                    timeline,
                    next,
                    received,
                    file: newest.clone(),
                }));
            }
        }
        Ok(None)
    }

    /// What to receive after a file, and the end of what is in it.
    fn end_of_file(&self, file: &WalFile) -> Result<(Lsn, Lsn)> {
        let (segment, size) = (file.segment, self.segment_size());
        if !file.partial {
            return Ok((segment.end(size), segment.end(size)));
        }
        let written = storage::open_file(&file.path)
            .map_err(Into::into)
            .and_then(|open| storage::written_length(&open))
            .with_context(|| format!("look for the end of {}", file.path.display()))?;
        let start = segment.start(size);
        Ok((start, start.advance(written)))
    }
}
