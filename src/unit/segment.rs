//! WAL segments: names, positions, sizes.

use std::fmt;

use super::{Lsn, Timeline};
use crate::error::{Error, ErrorKind};

/// The size of a WAL segment: a power of two from 1 MiB to 1 GiB (`IsValidWalSegSize`, PostgreSQL
/// `xlog_internal.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentSize(u32);

impl SegmentSize {
    /// The default of `initdb`: 16 MiB.
    pub const DEFAULT: SegmentSize = SegmentSize(16 << 20);

    /// Fails if PostgreSQL does not allow a segment size of `bytes`.
    pub fn new(bytes: u64) -> Result<Self, Error> {
        match u32::try_from(bytes) {
            Ok(size) if size.is_power_of_two() && (1 << 20..=1 << 30).contains(&size) => {
                Ok(SegmentSize(size))
            }
            _ => Err(Error::new(
                ErrorKind::Corrupt,
                format!("{bytes} bytes is not a WAL segment size"),
            )
            .with_hint("PostgreSQL's WAL segments are a power of two from 1 MiB to 1 GiB")),
        }
    }

    /// The size in bytes, a power of two.
    pub fn bytes(self) -> u64 {
        u64::from(self.0)
    }

    /// The number of segments with the same middle eight digits in the name
    /// (`XLogSegmentsPerXLogId`).
    fn per_log_id(self) -> u64 {
        0x1_0000_0000 / self.bytes()
    }

    /// The offset of a position in its segment, in bytes (`XLogSegmentOffset`).
    pub fn offset(self, lsn: Lsn) -> u64 {
        lsn.0 % self.bytes()
    }
}

/// One WAL segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// The timeline in the name of the segment.
    pub timeline: Timeline,
    /// The position divided by the segment size (`XLogSegNo`).
    pub number: u64,
}

impl Segment {
    /// The segment of `timeline` that holds the byte at `lsn`.
    pub fn containing(timeline: Timeline, lsn: Lsn, size: SegmentSize) -> Segment {
        Segment {
            timeline,
            number: lsn.0 / size.bytes(),
        }
    }

    /// The position of its first byte.
    pub fn start(self, size: SegmentSize) -> Lsn {
        Lsn(self.number.saturating_mul(size.bytes()))
    }

    /// The position after its last byte.
    pub fn end(self, size: SegmentSize) -> Lsn {
        self.next().start(size)
    }

    /// The segment after it on the same timeline.
    #[must_use]
    pub fn next(self) -> Segment {
        Segment {
            timeline: self.timeline,
            number: self.number.saturating_add(1),
        }
    }

    /// Its 24-digit name (`XLogFileName`, PostgreSQL `xlog_internal.h`).
    pub fn name(self, size: SegmentSize) -> String {
        let per = size.per_log_id();
        format!(
            "{:08X}{:08X}{:08X}",
            self.timeline.number(),
            self.number / per,
            self.number % per
        )
    }

    /// Parses a 24-digit name; `None` if it is not the name of a segment of this size.
    pub fn parse(name: &str, size: SegmentSize) -> Option<Segment> {
        let upper = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
        if name.len() != 24 || !name.bytes().all(upper) {
            return None;
        }
        let part = |from: usize| u32::from_str_radix(name.get(from..from + 8)?, 16).ok();
        let (timeline, log, low) = (
            Timeline::new(part(0)?)?,
            u64::from(part(8)?),
            u64::from(part(16)?),
        );
        let per = size.per_log_id();
        (low < per).then_some(Segment {
            timeline,
            number: log * per + low,
        })
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {} of timeline {}", self.number, self.timeline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timeline(number: u32) -> Timeline {
        Timeline::new(number).unwrap()
    }

    #[test]
    fn the_name_rolls_over_after_ff() {
        let size = SegmentSize::DEFAULT;
        let last = Segment::parse("0000000100000000000000FF", size).unwrap();
        assert_eq!(last.next().name(size), "000000010000000100000000");
        assert_eq!(last.next().start(size), Lsn(0x1_0000_0000));
    }

    #[test]
    fn timelines_from_ten_up_are_hexadecimal() {
        let size = SegmentSize::DEFAULT;
        let segment = Segment::containing(timeline(10), Lsn(0x2_0100_0000), size);
        assert_eq!(segment.name(size), "0000000A0000000200000001");
        assert_eq!(timeline(10).history_name(), "0000000A.history");
    }

    #[test]
    fn the_largest_segments_have_four_numbers_for_each_log_id() {
        let size = SegmentSize::new(1 << 30).unwrap();
        assert_eq!(
            Segment::parse("000000010000000000000003", size)
                .unwrap()
                .next()
                .name(size),
            "000000010000000100000000"
        );
        assert!(Segment::parse("000000010000000000000004", size).is_none());
    }

    #[test]
    fn invalid_segment_names_are_rejected() {
        let long = "0".repeat(25);
        for name in [
            "",
            "00000000000000000000000A",
            "00000001000000000000000a",
            "00000001000000000000000G",
            long.as_str(),
        ] {
            assert!(
                Segment::parse(name, SegmentSize::DEFAULT).is_none(),
                "{name}"
            );
        }
        for bytes in [0, 1, (1 << 20) - 1, 3 << 20, 2 << 30, 1 << 40] {
            assert!(SegmentSize::new(bytes).is_err(), "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn names_round_trip_and_sort_as_positions(
            tli in 1u32..,
            a in 0u64..1 << 44,
            shift in 20u32..=30,
        ) {
            let size = SegmentSize::new(1 << shift).unwrap();
            let segment = Segment::containing(timeline(tli), Lsn(a), size);
            prop_assert_eq!(Segment::parse(&segment.name(size), size), Some(segment));
            prop_assert!(segment.start(size) <= Lsn(a) && Lsn(a) < segment.end(size));
            prop_assert!(segment.name(size) < segment.next().name(size));
            prop_assert_eq!(segment.end(size), segment.next().start(size));
        }
    }
}
