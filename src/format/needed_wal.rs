//! The WAL that a base backup needs, which `backup_label` and the server's manifest describe.

use super::{BackupLabel, WalRange};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::WalPosition;

/// The WAL that a base backup needs to become consistent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeededWal {
    /// Where recovery starts.
    pub start: WalPosition,
    /// Where recovery is consistent.
    pub end: WalPosition,
}

impl NeededWal {
    /// The start in `backup_label`, and the end of the WAL ranges. Fails unless they agree: a range
    /// begins at the start, and none before it.
    pub fn new(label: &BackupLabel, ranges: &[WalRange]) -> Result<NeededWal> {
        let start = label.timeline.at(label.start);
        let begins = |range: &WalRange| range.timeline.at(range.start) == start;
        let inside = |range: &WalRange| start.lsn <= range.start;
        let last = ranges
            .iter()
            .max_by_key(|range| (range.end, range.timeline));
        match last {
            Some(last) if ranges.iter().any(begins) && ranges.iter().all(inside) => Ok(NeededWal {
                start,
                end: last.timeline.at(last.end),
            }),
            _ => {
                let message = format!(
                    "according to backup_label the backup needs WAL from {} of timeline {} on, and \
                     backup_manifest has other ranges",
                    start.lsn, start.timeline
                );
                Err(Error::new(ErrorKind::Corrupt, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::{Lsn, Timeline};

    fn range(timeline: u32, start: u64, end: u64) -> WalRange {
        WalRange {
            timeline: Timeline::new(timeline).unwrap(),
            start: Lsn(start),
            end: Lsn(end),
        }
    }

    #[test]
    fn the_end_is_that_of_the_last_range() {
        let label = BackupLabel {
            start: Lsn(0x200_0028),
            timeline: Timeline::FIRST,
            checkpoint: Lsn(0x200_0060),
            from_standby: false,
            incremental_from: None,
        };
        let first = range(1, 0x200_0028, 0x300_0100);
        let needed = NeededWal::new(&label, &[first]).unwrap();
        assert_eq!(needed.start, Timeline::FIRST.at(Lsn(0x200_0028)));
        assert_eq!(needed.end, Timeline::FIRST.at(Lsn(0x300_0100)));
        let second = range(2, 0x300_0100, 0x400_0000);
        let needed = NeededWal::new(&label, &[second, first]).unwrap();
        assert_eq!(needed.end, second.timeline.at(Lsn(0x400_0000)));
        for wrong in [
            &[][..],
            &[second],
            &[first, range(1, 0, 0x200_0028)],
            &[range(2, 0x200_0028, 0x300_0100)],
        ] {
            assert!(NeededWal::new(&label, wrong).is_err(), "{wrong:?}");
        }
    }
}
