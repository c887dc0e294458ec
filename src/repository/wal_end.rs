//! The end of a WAL archive along a timeline history.

use super::{WalDirectory, WalFile};
use crate::error::{Context, Result};
use crate::format::TimelineHistory;
use crate::storage;
use crate::unit::{Lsn, Timeline};

/// The end of a WAL archive along a timeline history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalEnd {
    /// The newest timeline of the history that has WAL.
    pub timeline: Timeline,
    /// The start of the segment to receive next: the partial one, or the one after the last
    /// complete one. It may be after the switch point if the history leaves the timeline in that
    /// segment.
    pub next: Lsn,
    /// The end of the archived WAL of the timeline, which may be after the point where the history
    /// leaves it. Zeros at the end of a partial segment are not included.
    pub received: Lsn,
    /// The file that ends at `received`.
    pub file: WalFile,
}

impl WalDirectory {
    /// The end of the archive along `history`: on its newest timeline that has WAL, up to its
    /// switch point. `None` if no segment is part of the history; other branches may have segments.
    pub fn end_of_path(&self, history: &TimelineHistory) -> Result<Option<WalEnd>> {
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
            let on_path = own().rfind(|file| (first..=last).contains(&file.segment.number));
            if let (Some(on_path), Some(newest)) = (on_path, own().next_back()) {
                let (next, _) = self.end_of_file(on_path)?;
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

    /// The LSN to receive after a file, and the end of its WAL.
    fn end_of_file(&self, file: &WalFile) -> Result<(Lsn, Lsn)> {
        let (segment, size) = (file.segment, self.segment_size());
        if !file.partial {
            return Ok((segment.end(size), segment.end(size)));
        }
        let written = storage::open_file(&file.path())
            .map_err(Into::into)
            .and_then(|open| storage::written_length(&open))
            .with_context(|| format!("look for the end of {}", file.path().display()))?;
        let start = segment.start(size);
        Ok((start, start.advance(written)))
    }
}
