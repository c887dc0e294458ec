//! Whether a WAL archive has every segment that it must have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{WalDirectory, WalFile};
use crate::error::{Context, Result};
use crate::format::TimelineHistory;
use crate::unit::{Lsn, Segment, SegmentSize, Timeline};

/// Segments that are missing in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first one.
    pub first: Segment,
    /// The last one.
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

/// The numbers of the segments of one timeline that there are.
#[derive(Default)]
struct Numbers {
    /// Those of complete segments.
    whole: BTreeSet<u64>,
    /// That of the partial segment, where nothing of the timeline comes after it.
    open: Option<u64>,
}

impl Numbers {
    fn first(&self) -> Option<u64> {
        self.whole.first().copied().or(self.open)
    }

    fn last(&self) -> Option<u64> {
        self.open.or(self.whole.last().copied())
    }
}

/// The segments that there are.
type Present = BTreeMap<Timeline, Numbers>;

/// Numbers from the first to the last.
type Range = (u64, u64);

impl WalDirectory {
    /// Which segments are missing on the ways from `backups` (where they start) to the end of each timeline of which there
    /// is WAL; without a backup, on the ways from the oldest segment. WAL of other branches may be missing where no way
    /// leads over it. A plain segment that is not as long as a segment counts as missing, and so does a partial one with
    /// WAL after it.
    pub fn gaps(&self, backups: &[(Timeline, Lsn)]) -> Result<Vec<Gap>> {
        let mut gaps = self.look_for_gaps(backups)?;
        if !gaps.is_empty() {
            // A file that got another name during the look is found at the second one.
            let again = self.look_for_gaps(backups)?;
            gaps.retain(|gap| again.contains(gap));
        }
        Ok(gaps)
    }

    fn look_for_gaps(&self, backups: &[(Timeline, Lsn)]) -> Result<Vec<Gap>> {
        let present = self.present()?;
        let mut missing = Vec::new();
        for &timeline in present.keys() {
            let history = match self.history(timeline)? {
                Some(content) => TimelineHistory::parse(timeline, &content)?,
                // Without its history nothing is known of what comes before it.
                None => TimelineHistory::alone(timeline),
            };
            self.look_along(&history, &present, backups, &mut missing);
        }
        Ok(merged(missing, self.segment_size()))
    }

    fn present(&self) -> Result<Present> {
        let size = self.segment_size();
        let mut present = Present::new();
        for file in &self.segments()? {
            let numbers = present.entry(file.segment.timeline).or_default();
            // They are sorted: what comes after a partial one leaves it behind.
            numbers.open = None;
            if !is_whole(file, size)? {
                continue;
            }
            if file.partial {
                numbers.open = Some(file.segment.number);
            } else {
                numbers.whole.insert(file.segment.number);
            }
        }
        Ok(present)
    }

    /// Adds what is missing on the way to one timeline.
    fn look_along(
        &self,
        history: &TimelineHistory,
        present: &Present,
        backups: &[(Timeline, Lsn)],
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
            let on_way = backups
                .iter()
                .filter(|(timeline, start)| history.timeline_at(*start) == *timeline);
            on_way.map(|(_, start)| start.0 / size).min()
        };
        let end = present.get(&history.timeline()).and_then(Numbers::last);
        let (Some(begin), Some(end)) = (begin, end) else {
            return;
        };
        for (timeline, (first, last)) in ranges {
            let needed = (first.max(begin), last.min(end));
            let numbers = present.get(&timeline);
            let open = numbers.and_then(|numbers| numbers.open);
            let open = open.filter(|_| timeline == history.timeline());
            let there = numbers
                .into_iter()
                .flat_map(|numbers| numbers.whole.iter().copied())
                .chain(open);
            let found = holes(there, needed);
            missing.extend(found.into_iter().map(|hole| (timeline, hole)));
        }
    }

    /// Which segments are read of each timeline on a way: the one with a switch is that of the later timeline, which
    /// begins with a copy of the earlier one's.
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

/// What is missing from the first to the last number of what is there, in order.
fn holes(there: impl Iterator<Item = u64>, (first, last): Range) -> Vec<Range> {
    let mut holes = Vec::new();
    if first > last {
        return holes;
    }
    let mut expected = first;
    let there = there.filter(|number| (first..=last).contains(number));
    for number in there.chain([last.saturating_add(1)]) {
        if number > expected {
            holes.push((expected, number - 1));
        }
        expected = number.saturating_add(1);
    }
    holes
}

/// The gaps, each of them once though several ways lead over it.
fn merged(mut missing: Vec<(Timeline, Range)>, size: SegmentSize) -> Vec<Gap> {
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

/// Whether a file is as long as it must be, as far as that can be told without reading it.
fn is_whole(file: &WalFile, size: SegmentSize) -> Result<bool> {
    let length = match std::fs::metadata(&file.path) {
        Ok(metadata) => metadata.len(),
        // Sealed in this moment.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(error) => {
            return Err(error).with_context(|| format!("look at {}", file.path.display()));
        }
    };
    Ok(if file.is_plain() {
        length == size.bytes()
    } else {
        length > 0
    })
}
