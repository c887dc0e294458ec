//! Removing WAL that no backup can use.
//!
//! A segment is useful to a backup if it is of the timeline on which the backup begins and not
//! before it, or if it is of a timeline that leaves that one after the beginning of the backup,
//! according to its history file. So the useful segments of a timeline are all from one on. History
//! files are never removed: they are small, and they say what a timeline descends from.

use std::collections::BTreeMap;

use super::{Histories, PrunedWal, WalDirectory, WalFile};
use crate::error::{Error, ErrorKind, Result};
use crate::format::TimelineHistory;
use crate::storage;
use crate::unit::{Segment, SegmentSize, Timeline, WalPosition};

/// After how many removed files the directory is synced.
const BATCH: usize = 256;

/// How many of the newest segments are always kept on the path that is followed: the receiver
/// continues at the last one and compares the WAL before it with that of the server.
const TAIL: u64 = 2;

/// The WAL that is needed.
#[derive(Clone, Debug, Default)]
pub struct NeededWal {
    /// WAL from these positions on, of their timelines and of those that leave them later.
    pub from: Vec<WalPosition>,
    /// WAL from the first to the second position.
    pub ranges: Vec<(WalPosition, WalPosition)>,
    /// The timelines that are being received, or were last. If they do not descend from a position
    /// in `from`, all of their WAL is needed for the next backup.
    pub followed: Vec<Timeline>,
}

/// The files of the archive that are not needed.
#[derive(Clone, Debug, Default)]
pub struct PrunePlan {
    /// Oldest first of each timeline: if the removal is interrupted, the rest has no gap.
    pub files: Vec<WalFile>,
    /// The timelines of which all WAL is kept, because what they descend from is not known.
    pub unknown: Vec<Timeline>,
    /// What to record before the files are removed.
    pruned: PrunedWal,
}

impl PrunePlan {
    /// How many segments it has.
    pub fn segments(&self) -> usize {
        let mut segments: Vec<Segment> = self.files.iter().map(|file| file.segment).collect();
        segments.dedup();
        segments.len()
    }
}

impl WalDirectory {
    /// The `files`, all of the archive and sorted, that are not needed. They must have been listed
    /// before `needed` was determined: the timeline that is followed may change meanwhile.
    pub fn plan_pruning(&self, files: Vec<WalFile>, needed: &NeededWal) -> Result<PrunePlan> {
        let mut bounds: BTreeMap<Timeline, Bounds> = BTreeMap::new();
        for file in &files {
            let Segment { timeline, number } = file.segment;
            let bounds = bounds.entry(timeline).or_insert(Bounds {
                keep_from: 0,
                first: number,
                last: number,
            });
            bounds.last = bounds.last.max(number);
        }
        let known = KnownHistories {
            histories: self.histories()?,
            pruned: self.pruned()?,
            firsts: bounds
                .iter()
                .map(|(&one, bounds)| (one, bounds.first))
                .collect(),
            size: self.segment_size(),
        };
        let mut plan = PrunePlan::default();
        let mut followed = needed.followed.clone();
        if followed.is_empty() {
            followed.extend(bounds.keys().next_back());
        }
        for (&timeline, bounds) in &mut bounds {
            bounds.keep_from = match known.first_needed(timeline, needed, &mut plan.unknown) {
                Some(first) => first,
                None if followed.contains(&timeline) => 0,
                None => bounds.last.saturating_add(1),
            };
        }
        followed
            .iter()
            .for_each(|timeline| known.keep_tail(*timeline, &mut bounds));
        let size = self.segment_size();
        for file in files {
            let Segment { timeline, number } = file.segment;
            let first = bounds.get(&timeline).map_or(0, |bounds| bounds.keep_from);
            if number < first && !self.is_in_range(file.segment, needed) {
                plan.pruned.add(
                    timeline,
                    Segment {
                        timeline,
                        number: first,
                    }
                    .start(size),
                );
                plan.files.push(file);
            }
        }
        Ok(plan)
    }

    /// Whether a segment has WAL of one of the ranges.
    fn is_in_range(&self, segment: Segment, needed: &NeededWal) -> bool {
        let size = self.segment_size().bytes();
        needed.ranges.iter().any(|(from, to)| {
            (from.timeline..=to.timeline).contains(&segment.timeline)
                && (from.lsn.0 / size..=to.lsn.0 / size).contains(&segment.number)
        })
    }

    /// Removes the files of a plan, and returns how many. `proceed` is called before each batch;
    /// `false` ends the removal early.
    pub fn prune(
        &self,
        plan: &PrunePlan,
        mut proceed: impl FnMut() -> Result<bool>,
    ) -> Result<usize> {
        if plan.files.is_empty() {
            return Ok(0);
        }
        let mut count = self.record_before(plan)?;
        let rest = plan.files.get(count..).unwrap_or_default();
        for batch in rest.chunks(BATCH) {
            if !proceed()? {
                break;
            }
            self.check_paths()?;
            for file in batch {
                storage::remove_file_unsynced(&file.path())?;
            }
            storage::sync_directory(self.path())?;
            count += batch.len();
        }
        Ok(count)
    }
}

/// What the timelines descend from.
struct KnownHistories {
    histories: Histories,
    pruned: PrunedWal,
    /// The first archived segment of each timeline.
    firsts: BTreeMap<Timeline, u64>,
    size: SegmentSize,
}

impl KnownHistories {
    /// The number of the first segment of a timeline that is needed; `None` if none is.
    fn first_needed(
        &self,
        timeline: Timeline,
        needed: &NeededWal,
        unknown: &mut Vec<Timeline>,
    ) -> Option<u64> {
        let size = self.size.bytes();
        let own = needed.from.iter().filter(|from| from.timeline == timeline);
        let own = own.map(|from| from.lsn.0 / size).min();
        // A timeline has a higher number than those that it descends from.
        let mut earlier = needed
            .from
            .iter()
            .filter(|from| from.timeline < timeline)
            .peekable();
        if earlier.peek().is_none() {
            return own;
        }
        let Some(history) = self.get(timeline) else {
            unknown.push(timeline);
            return Some(0);
        };
        let descends = earlier.any(|from| {
            let left = history.end_of(from.timeline);
            // By segments: the position may be damaged.
            left.is_some_and(|left| from.lsn.0 / size <= left.0 / size)
        });
        if descends { Some(0) } else { own }
    }

    /// Keeps the newest segments on the path to a timeline.
    fn keep_tail(&self, timeline: Timeline, bounds: &mut BTreeMap<Timeline, Bounds>) {
        let history = self.get(timeline);
        let history = history.unwrap_or_else(|| TimelineHistory::without_ancestors(timeline));
        let newest = history
            .timelines()
            .rev()
            .find(|one| bounds.contains_key(one));
        if let Some(bounds) = newest.and_then(|newest| bounds.get_mut(&newest)) {
            let tail = bounds.last.saturating_add(1).saturating_sub(TAIL);
            bounds.keep_from = bounds.keep_from.min(tail);
        }
    }

    /// The history of a timeline; `None` if it is not known, or contradicts the archive: the WAL of
    /// a timeline begins in the segment of its switch point, unless that was pruned.
    fn get(&self, timeline: Timeline) -> Option<TimelineHistory> {
        let history = self.histories.get(timeline).ok()?;
        let begin = history.begin_of(timeline)?;
        let begin = Segment::containing(timeline, begin, self.size);
        let first = self.firsts.get(&timeline).copied();
        let fits = first.is_none_or(|first| first == begin.number)
            || timeline == Timeline::FIRST
            || self.pruned.contains(begin, self.size);
        fits.then_some(history)
    }
}

impl WalDirectory {
    /// Records what will be removed. On a full disk the first files are removed before, to make
    /// room for the record; returns how many.
    fn record_before(&self, plan: &PrunePlan) -> Result<usize> {
        let mut count = 0;
        let mut files = plan.files.iter();
        loop {
            let recorded = self.record_pruned(&plan.pruned);
            let is_full = |failure: &Error| failure.kind() == ErrorKind::NoSpace;
            if !recorded.as_ref().is_err_and(is_full) {
                return recorded.map(|()| count);
            }
            let Some(file) = files.next() else {
                return recorded.map(|()| count);
            };
            self.check_paths()?;
            storage::remove_file(&file.path())?;
            count += 1;
        }
    }
}

/// The segments of one timeline.
struct Bounds {
    /// The number of the first one that is kept.
    keep_from: u64,
    /// The number of the first one in the archive.
    first: u64,
    /// The number of the last one in the archive.
    last: u64,
}

#[cfg(test)]
mod tests;
