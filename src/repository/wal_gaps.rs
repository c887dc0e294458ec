//! Finding missing segments in a WAL archive.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{MeasuredWalFile, PrunedWal, WalDirectory};
use crate::error::Result;
use crate::format::TimelineHistory;
use crate::unit::{Segment, SegmentSize, Timeline, WalPosition};

/// A range of missing segments of one timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first missing segment.
    pub first: Segment,
    /// The last missing segment.
    pub last: Segment,
    size: SegmentSize,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first.name(self.size), self.last.name(self.size));
        let (start, end) = (self.first.start(self.size), self.last.end(self.size));
        if first == last {
            write!(f, "WAL segment {first} ({start} to {end}) is missing")
        } else {
            write!(
                f,
                "WAL segments {first} to {last} ({start} to {end}) are missing"
            )
        }
    }
}

/// The numbers of the archived segments of one timeline.
#[derive(Default)]
struct SegmentNumbers {
    /// The complete segments.
    complete: BTreeSet<u64>,
    /// The partial segment, if it is the last one of the timeline.
    partial: Option<u64>,
}

impl SegmentNumbers {
    fn first(&self) -> Option<u64> {
        self.complete.first().copied().or(self.partial)
    }

    fn last(&self) -> Option<u64> {
        self.partial.or(self.complete.last().copied())
    }
}

/// The archived segments.
type Present = BTreeMap<Timeline, SegmentNumbers>;

/// SegmentNumbers from the first to the last.
type Range = (u64, u64);

impl WalDirectory {
    /// The segments that are missing between the starts of `backups` and the end of each timeline
    /// that has WAL, along its history; without a backup, from the oldest segment on. WAL of
    /// branches that no backup needs may be missing, and so may WAL that was removed on purpose. A
    /// plain segment of another size counts as missing, and so does a partial one with WAL after
    /// it.
    pub fn gaps(&self, backups: &[WalPosition]) -> Result<Vec<Gap>> {
        self.gaps_in(&self.measured_segments()?, backups)
    }

    /// As [`WalDirectory::gaps`], where the segments were listed before.
    pub fn gaps_in(
        &self,
        segments: &[MeasuredWalFile],
        backups: &[WalPosition],
    ) -> Result<Vec<Gap>> {
        let mut gaps = self.find_gaps(segments, backups)?;
        if !gaps.is_empty() {
            // A file that was renamed since the listing is found by another one.
            let again = self.find_gaps(&self.measured_segments()?, backups)?;
            gaps.retain(|gap| again.contains(gap));
        }
        Ok(gaps)
    }

    fn find_gaps(&self, segments: &[MeasuredWalFile], backups: &[WalPosition]) -> Result<Vec<Gap>> {
        let present = present(segments);
        // Read after the segments were listed: what was removed before that is recorded in it.
        let pruned = self.pruned()?;
        let mut missing = Vec::new();
        for &timeline in present.keys() {
            let history = match self.history(timeline)? {
                Some(content) => TimelineHistory::parse(timeline, &content)?,
                // Without its history file the parents of a timeline are unknown.
                None => TimelineHistory::without_ancestors(timeline),
            };
            self.find_missing(&history, (&present, &pruned), backups, &mut missing);
        }
        Ok(merge(missing, self.segment_size()))
    }

    /// Adds the missing segments along the history of one timeline.
    fn find_missing(
        &self,
        history: &TimelineHistory,
        (present, pruned): (&Present, &PrunedWal),
        backups: &[WalPosition],
        missing: &mut Vec<(Timeline, Range)>,
    ) {
        let size = self.segment_size().bytes();
        let ranges = self.ranges(history);
        let begin = if backups.is_empty() {
            let oldest = ranges.iter().filter_map(|(timeline, (first, last))| {
                let number = present.get(timeline)?.first()?;
                (number <= *last).then_some(number.max(*first))
            });
            oldest.min()
        } else {
            let on_path = backups
                .iter()
                .filter(|start| history.timeline_at(start.lsn) == start.timeline);
            on_path.map(|start| start.lsn.0 / size).min()
        };
        let end = present
            .get(&history.timeline())
            .and_then(SegmentNumbers::last);
        let (Some(begin), Some(end)) = (begin, end) else {
            return;
        };
        for (timeline, (first, last)) in ranges {
            let kept = pruned.before(timeline).0 / size;
            let needed = (first.max(begin).max(kept), last.min(end));
            let numbers = present.get(&timeline);
            let partial = numbers.and_then(|numbers| numbers.partial);
            let partial = partial.filter(|_| timeline == history.timeline());
            let present = numbers
                .into_iter()
                .flat_map(|numbers| numbers.complete.iter().copied())
                .chain(partial);
            let found = missing_ranges(present, needed);
            missing.extend(found.into_iter().map(|range| (timeline, range)));
        }
    }

    /// The segments that recovery reads of each timeline of a history: the segment with a switch
    /// point is read from the later timeline, which starts with a copy of the earlier WAL.
    fn ranges(&self, history: &TimelineHistory) -> Vec<(Timeline, Range)> {
        let size = self.segment_size().bytes();
        let ranges = history.timelines().filter_map(|timeline| {
            let first = history.begin_of(timeline)?.0 / size;
            let last = match history.end_of(timeline) {
                Some(end) => (end.0 / size).checked_sub(1)?,
                None => u64::MAX,
            };
            (first <= last).then_some((timeline, (first, last)))
        });
        ranges.collect()
    }
}

fn present(segments: &[MeasuredWalFile]) -> Present {
    let mut present = Present::new();
    for measured in segments {
        let segment = measured.file.segment;
        let numbers = present.entry(segment.timeline).or_default();
        // They are sorted: a later segment means that the partial one is not the last.
        numbers.partial = None;
        if !measured.has_full_length() {
            continue;
        }
        if measured.file.partial {
            numbers.partial = Some(segment.number);
        } else {
            numbers.complete.insert(segment.number);
        }
    }
    present
}

/// The missing ranges between `first` and `last`; `present` is sorted.
fn missing_ranges(present: impl Iterator<Item = u64>, (first, last): Range) -> Vec<Range> {
    let mut ranges = Vec::new();
    if first > last {
        return ranges;
    }
    let mut expected = first;
    let present = present.filter(|number| (first..=last).contains(number));
    for number in present.chain([last.saturating_add(1)]) {
        if number > expected {
            ranges.push((expected, number - 1));
        }
        expected = number.saturating_add(1);
    }
    ranges
}

/// The gaps, each of them once even if several histories share it.
fn merge(mut missing: Vec<(Timeline, Range)>, size: SegmentSize) -> Vec<Gap> {
    missing.sort_unstable();
    let mut gaps: Vec<Gap> = Vec::new();
    for (timeline, (first, last)) in missing {
        let segment = |number| Segment { timeline, number };
        match gaps.last_mut() {
            Some(gap)
                if gap.last.timeline == timeline && first <= gap.last.number.saturating_add(1) =>
            {
                gap.last = gap.last.max(segment(last));
            }
            _ => gaps.push(Gap {
                first: segment(first),
                last: segment(last),
                size,
            }),
        }
    }
    gaps
}
