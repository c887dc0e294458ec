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

/// The numbers of the segments that there are, by timeline.
type Present = BTreeMap<Timeline, BTreeSet<u64>>;

impl WalDirectory {
    /// Which segments are missing between `from` (the start of the oldest backup; else the oldest segment) and the end of
    /// the archive: on each timeline by itself, and from one timeline to the next on the way to the newest one. A plain
    /// segment that is not as long as a segment counts as missing.
    pub fn gaps(&self, from: Option<(Timeline, Lsn)>) -> Result<Vec<Gap>> {
        let mut gaps = self.look_for_gaps(from)?;
        if !gaps.is_empty() {
            // A file that got another name during the look is found at the second one.
            let again = self.look_for_gaps(from)?;
            gaps.retain(|gap| again.contains(gap));
        }
        Ok(gaps)
    }

    fn look_for_gaps(&self, from: Option<(Timeline, Lsn)>) -> Result<Vec<Gap>> {
        let present = self.present(from)?;
        let Some(&newest) = present.keys().last() else {
            return Ok(Vec::new());
        };
        let newest = from.map_or(newest, |(timeline, _)| newest.max(timeline));
        let history = match self.history(newest)? {
            Some(content) => TimelineHistory::parse(newest, &content)?,
            None if newest == Timeline::FIRST => TimelineHistory::first(),
            // Without its history nothing is known of what comes before it.
            None => return Ok(self.gaps_within(&present)),
        };
        Ok(self.gaps_along(&present, from, &history))
    }

    /// What there is from `from` on; partial segments count where nothing can come after them on their timeline.
    fn present(&self, from: Option<(Timeline, Lsn)>) -> Result<Present> {
        let size = self.segment_size();
        let oldest = from.map_or(0, |(_, lsn)| lsn.0 / size.bytes());
        let mut present = Present::new();
        let segments = self.segments()?;
        let mut later = segments.iter().skip(1);
        for file in &segments {
            let next = later.next().map(|file| file.segment.timeline);
            let last = next != Some(file.segment.timeline);
            let counts = file.segment.number >= oldest && (!file.partial || last);
            if counts && is_whole(file, size)? {
                let numbers = present.entry(file.segment.timeline).or_default();
                numbers.insert(file.segment.number);
            }
        }
        Ok(present)
    }

    /// The gaps of each timeline by itself.
    fn gaps_within(&self, present: &Present) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (&timeline, numbers) in present {
            if let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) {
                self.find_gaps(timeline, numbers, (first, last), &mut gaps);
            }
        }
        gaps
    }

    /// The gaps of each timeline, where those of `history` must also follow each other.
    fn gaps_along(
        &self,
        present: &Present,
        from: Option<(Timeline, Lsn)>,
        history: &TimelineHistory,
    ) -> Vec<Gap> {
        let size = self.segment_size().bytes();
        let mut gaps = Vec::new();
        let mut timelines: BTreeSet<Timeline> = present.keys().copied().collect();
        timelines.extend(history.switches().iter().map(|switch| switch.timeline));
        let mut begun = false;
        for timeline in timelines {
            let mut numbers = present.get(&timeline).cloned().unwrap_or_default();
            let on_line = history.contains(timeline);
            let mut first = numbers.first().copied();
            let mut last = numbers.last().copied();
            if let Some((_, lsn)) = from.filter(|(start, _)| *start == timeline) {
                first = Some(lsn.0 / size);
                begun = true;
            } else if on_line && begun {
                first = history.begin_of(timeline).map(|begin| begin.0 / size);
            }
            begun |= on_line && !numbers.is_empty();
            if on_line
                && begun
                && let Some(end) = history.end_of(timeline)
            {
                let needed = end.0.saturating_sub(1) / size;
                last = last.max(Some(needed));
                // The segment in which the switch lies is in the next timeline's file, too.
                let successor = history.successor(timeline).and_then(|t| present.get(&t));
                if successor.is_some_and(|numbers| numbers.contains(&(end.0 / size))) {
                    numbers.insert(end.0 / size);
                }
            }
            if let (Some(first), Some(last)) = (first, last) {
                self.find_gaps(timeline, &numbers, (first, last), &mut gaps);
            }
        }
        gaps
    }

    /// Adds what is missing from the first to the last number.
    fn find_gaps(
        &self,
        timeline: Timeline,
        numbers: &BTreeSet<u64>,
        (first, last): (u64, u64),
        gaps: &mut Vec<Gap>,
    ) {
        if first > last {
            return;
        }
        let size = self.segment_size();
        let mut expected = first;
        let beyond = last.saturating_add(1);
        for &number in numbers.range(first..=last).chain([&beyond]) {
            if number > expected {
                gaps.push(Gap {
                    first: Segment {
                        timeline,
                        number: expected,
                    },
                    last: Segment {
                        timeline,
                        number: number - 1,
                    },
                    size,
                });
            }
            expected = number.saturating_add(1);
        }
    }
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
