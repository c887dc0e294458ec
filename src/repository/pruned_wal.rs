//! Which WAL was removed on purpose, because no backup needs it: `wal.pruned`.
//!
//! Written before the first segment is removed. A missing segment before these positions is not a
//! gap, and recovery that needs it is refused with this reason.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;

use super::WalDirectory;
use super::layout::WAL_PRUNED;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::storage;
use crate::unit::{Lsn, Segment, SegmentSize, Timeline};

/// Limit for `wal.pruned`, bytes: it has one line for each timeline.
const MAX_SIZE: u64 = 4 << 20;

const HEADING: &str = "# WAL before these positions was removed because no backup needed it.\n";

/// For each timeline the position before which WAL was removed on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrunedWal(BTreeMap<Timeline, Lsn>);

impl PrunedWal {
    /// Whether a segment may be missing because it was removed on purpose.
    pub fn contains(&self, segment: Segment, size: SegmentSize) -> bool {
        segment.end(size) <= self.before(segment.timeline)
    }

    /// The position before which the WAL of a timeline was removed; 0/0 if none was.
    pub fn before(&self, timeline: Timeline) -> Lsn {
        self.0.get(&timeline).copied().unwrap_or(Lsn::ZERO)
    }

    /// Adds that WAL before a position is removed; positions only grow.
    pub(super) fn add(&mut self, timeline: Timeline, before: Lsn) {
        let known = self.0.entry(timeline).or_insert(before);
        *known = before.max(*known);
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = HEADING.to_owned();
        for (timeline, before) in &self.0 {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{timeline}={before}");
        }
        text
    }

    pub(super) fn parse(content: &[u8]) -> Result<PrunedWal> {
        let invalid = |what: &str| Error::new(ErrorKind::Corrupt, what);
        let text = std::str::from_utf8(content).map_err(|_| invalid("it is not UTF-8"))?;
        let mut pruned = PrunedWal::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let pair = line.split_once('=').and_then(|(timeline, before)| {
                Some((timeline.parse().ok()?, before.parse().ok()?))
            });
            let (timeline, before) =
                pair.ok_or_else(|| invalid(&format!("{line:?} is no timeline and position")))?;
            pruned.add(timeline, before);
        }
        Ok(pruned)
    }
}

impl WalDirectory {
    /// The WAL that was removed on purpose. If `wal.pruned` is damaged, none is known: missing WAL
    /// is reported then, and the next removal writes the file anew.
    pub fn pruned(&self) -> Result<PrunedWal> {
        let path = self.path().with_file_name(WAL_PRUNED);
        let content = match storage::read_file(&path, MAX_SIZE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(PrunedWal::default());
            }
            result => result.with_context(|| format!("read {}", path.display()))?,
        };
        Ok(PrunedWal::parse(&content).unwrap_or_else(|error| {
            log::warn!("{} is damaged and ignored: {error}", path.display());
            PrunedWal::default()
        }))
    }

    /// Records WAL that will be removed, durably.
    pub(super) fn record_pruned(&self, pruned: &PrunedWal) -> Result<()> {
        let mut all = self.pruned()?;
        let before = all.clone();
        for (timeline, position) in &pruned.0 {
            all.add(*timeline, *position);
        }
        if all == before {
            return Ok(());
        }
        self.check_paths()?;
        storage::replace(
            &self.path().with_file_name(WAL_PRUNED),
            all.to_text().as_bytes(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(number: u32) -> Timeline {
        Timeline::new(number).unwrap()
    }

    #[test]
    fn the_file_is_read_as_it_was_written_and_positions_only_grow() {
        let mut pruned = PrunedWal::default();
        pruned.add(timeline(1), Lsn(0x300_0000));
        pruned.add(timeline(12), Lsn(0x1_0200_0000));
        pruned.add(timeline(1), Lsn(0x200_0000));
        let text = pruned.to_text();
        assert_eq!(text, format!("{HEADING}1=0/3000000\n12=1/2000000\n"));
        assert_eq!(PrunedWal::parse(text.as_bytes()).unwrap(), pruned);
        let size = SegmentSize::DEFAULT;
        let contains = |number, segment| {
            let timeline = timeline(number);
            pruned.contains(
                Segment {
                    timeline,
                    number: segment,
                },
                size,
            )
        };
        assert!(contains(1, 2) && !contains(1, 3) && !contains(2, 0));
        for damaged in ["x", "1=", "0=0/1", "1=0/1\nx=0/2", "\u{0}"] {
            assert!(PrunedWal::parse(damaged.as_bytes()).is_err(), "{damaged:?}");
        }
    }
}
