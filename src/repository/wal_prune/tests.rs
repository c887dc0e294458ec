#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // small numbers

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;

use super::*;
use crate::unit::{Lsn, SegmentSize};

const MIB: u64 = 1 << 20;

/// An archive with segments of 1 MiB, removed on drop.
struct Scratch {
    base: PathBuf,
    wal: WalDirectory,
}

impl Scratch {
    fn new(name: &str) -> Scratch {
        let base = format!("pgmoneta-prune-{name}-{}", std::process::id());
        let base = std::env::temp_dir().join(base);
        let _ = fs::remove_dir_all(&base);
        let path = base.join("wal");
        fs::create_dir_all(&path).unwrap();
        let wal = WalDirectory::new(&path, SegmentSize::new(MIB).unwrap());
        Scratch { base, wal }
    }

    /// Adds segments of a timeline, the last one with `suffix`.
    fn put(&self, number: u32, segments: std::ops::RangeInclusive<u64>, suffix: &str) {
        for segment in segments.clone() {
            let name = name(number, segment);
            let suffix = if segment == *segments.end() {
                suffix
            } else {
                ".zstd"
            };
            let file = File::create(self.wal.path().join(name + suffix)).unwrap();
            file.set_len(MIB).unwrap();
        }
    }

    fn history(&self, number: u32, text: &str) {
        let path = self.wal.path().join(timeline(number).history_name());
        fs::write(path, text).unwrap();
    }

    /// A tree: timeline 1 has the segments 1 to 9; timeline 2 left it in segment 5 and has 5 to 8,
    /// timeline 3 left 2 in segment 7 and has 7 to 12, the last one partial; timeline 4 left 1 in
    /// segment 8.
    fn tree(name: &str) -> Scratch {
        let scratch = Scratch::new(name);
        scratch.put(1, 1..=9, ".partial");
        scratch.put(2, 5..=8, "");
        scratch.put(3, 7..=12, ".partial");
        scratch.put(4, 8..=9, ".zstd");
        scratch.history(2, "1\t0/580000\tx\n");
        scratch.history(3, "1\t0/580000\tx\n2\t0/780000\tx\n");
        scratch.history(4, "1\t0/880000\tx\n");
        scratch
    }

    fn plan(&self, needed: &NeededWal) -> PrunePlan {
        let files = self.wal.files().unwrap();
        self.wal.plan_pruning(files, needed).unwrap()
    }

    /// What remains after pruning: for each timeline the first segment, and how many there are.
    fn after(&self, needed: &NeededWal) -> Vec<(u32, u64, usize)> {
        let plan = self.plan(needed);
        let count = self.wal.prune(&plan, || Ok(true)).unwrap();
        assert_eq!(count, plan.files.len());
        assert_eq!(self.plan(needed).files, [], "all at once");
        self.left()
    }

    fn left(&self) -> Vec<(u32, u64, usize)> {
        let mut left: Vec<(u32, u64, usize)> = Vec::new();
        for file in self.wal.files().unwrap() {
            let number = file.segment.timeline.number();
            match left.last_mut() {
                Some(last) if last.0 == number => last.2 += 1,
                _ => left.push((number, file.segment.number, 1)),
            }
        }
        left
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.base);
    }
}

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

fn name(number: u32, segment: u64) -> String {
    let timeline = timeline(number);
    let segment = Segment {
        timeline,
        number: segment,
    };
    segment.name(SegmentSize::new(MIB).unwrap())
}

/// WAL from these segments on, each of a timeline, in the middle of the segment.
fn needed(followed: u32, from: &[(u32, u64)]) -> NeededWal {
    let at = |&(number, segment): &(u32, u64)| timeline(number).at(Lsn(segment * MIB + MIB / 2));
    NeededWal {
        from: from.iter().map(at).collect(),
        ranges: Vec::new(),
        followed: vec![timeline(followed)],
    }
}

#[test]
fn wal_before_the_oldest_backup_goes_on_each_timeline() {
    let all = [(1, 1, 9), (2, 5, 4), (3, 7, 6), (4, 8, 2)];
    for (case, backups, expected) in [
        ("first", &[(1, 1)][..], &all[..]),
        (
            "third",
            &[(1, 3)],
            &[(1, 3, 7), (2, 5, 4), (3, 7, 6), (4, 8, 2)],
        ),
        // The switch point to timeline 2 is in the middle of segment 5.
        (
            "at",
            &[(1, 5)],
            &[(1, 5, 5), (2, 5, 4), (3, 7, 6), (4, 8, 2)],
        ),
        (
            "after",
            &[(1, 6), (3, 9)],
            &[(1, 6, 4), (3, 9, 4), (4, 8, 2)],
        ),
        ("second", &[(2, 6)], &[(2, 6, 3), (3, 7, 6)]),
        ("newest", &[(3, 10)], &[(3, 10, 3)]),
        (
            "several",
            &[(3, 10), (3, 8), (4, 9)],
            &[(3, 8, 5), (4, 9, 1)],
        ),
    ] {
        let scratch = Scratch::tree(case);
        assert_eq!(scratch.after(&needed(3, backups)), expected, "{case}");
        let histories = scratch.wal.history_timelines().unwrap();
        assert_eq!(histories.len(), 3, "history files stay");
        let starts: Vec<_> = needed(3, backups).from;
        assert_eq!(scratch.wal.gaps(&starts).unwrap(), [], "{case}");
    }
}

#[test]
fn the_followed_timeline_is_kept_if_no_backup_is_on_its_path() {
    let scratch = Scratch::tree("followed");
    // After a recovery to a moment before the backup the server is on timeline 4.
    assert_eq!(
        scratch.after(&needed(4, &[(2, 6)])),
        [(2, 6, 3), (3, 7, 6), (4, 8, 2)]
    );
    // The newest segments stay whatever the backups say.
    assert_eq!(scratch.after(&needed(3, &[(3, 40)])), [(3, 11, 2)]);
    // The server has just switched to timeline 5, of which nothing was received yet.
    scratch.history(5, "1\t0/580000\tx\n2\t0/780000\tx\n3\t0/CF0000\tx\n");
    assert_eq!(scratch.after(&needed(5, &[(5, 40)])), [(3, 11, 2)]);
    // Which timeline is followed is not known: the highest one.
    let unknown = NeededWal {
        followed: Vec::new(),
        ..needed(1, &[(1, 1)])
    };
    let scratch = Scratch::tree("unknown");
    fs::remove_file(scratch.wal.path().join("00000004.history")).unwrap();
    let plan = scratch.plan(&unknown);
    assert_eq!((plan.files.len(), plan.unknown), (0, vec![timeline(4)]));
}

#[test]
fn no_changed_bit_of_a_history_file_removes_wal_that_is_needed() {
    let scratch = Scratch::tree("bits");
    let names =
        |plan: PrunePlan| -> BTreeSet<PathBuf> { plan.files.iter().map(WalFile::path).collect() };
    for needed in [
        needed(3, &[(1, 3), (3, 9)]),
        needed(3, &[(2, 6)]),
        needed(4, &[(1, 6)]),
        needed(4, &[(1, 2), (2, 7)]),
    ] {
        let expected = names(scratch.plan(&needed));
        for number in [2, 3, 4] {
            let path = scratch.wal.path().join(timeline(number).history_name());
            let good = fs::read(&path).unwrap();
            for bit in 0..good.len() * 8 {
                let mut bytes = good.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                fs::write(&path, &bytes).unwrap();
                let removed = names(scratch.plan(&needed));
                let text = String::from_utf8_lossy(&bytes);
                assert!(
                    removed.is_subset(&expected),
                    "{number} {text:?} {removed:?}"
                );
            }
            fs::write(&path, good).unwrap();
        }
    }
}

#[test]
fn a_timeline_whose_history_is_missing_or_damaged_is_kept() {
    for text in [None, Some("garbage"), Some(""), Some("# nothing\n")] {
        let scratch = Scratch::tree("damaged");
        let path = scratch.wal.path().join("00000002.history");
        match text {
            Some(text) => fs::write(path, text).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let needed = needed(3, &[(1, 6), (3, 9)]);
        assert_eq!(scratch.plan(&needed).unknown, [timeline(2)]);
        assert_eq!(
            scratch.after(&needed),
            [(1, 6, 4), (2, 5, 4), (3, 9, 4), (4, 8, 2)]
        );
    }
    // Timelines have higher numbers than those that they descend from.
    let scratch = Scratch::tree("higher");
    fs::remove_file(scratch.wal.path().join("00000002.history")).unwrap();
    assert_eq!(scratch.plan(&needed(3, &[(3, 9)])).unknown, []);
}

#[test]
fn ranges_are_kept_and_what_is_pruned_is_no_gap() {
    let scratch = Scratch::tree("ranges");
    let at = |segment: u64| timeline(1).at(Lsn(segment * MIB + 100));
    let mut needed = needed(3, &[(3, 9)]);
    needed.ranges = vec![(at(2), at(3))];
    assert_eq!(scratch.after(&needed), [(1, 2, 2), (3, 9, 4)]);
    // The backup of the range is still there.
    let starts = [at(2), needed.from[0]];
    assert_eq!(scratch.wal.gaps(&starts).unwrap(), []);
    fs::remove_file(scratch.wal.path().join(name(3, 10) + ".zstd")).unwrap();
    let gaps = scratch.wal.gaps(&starts).unwrap();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    // Without the record all of it is missing.
    fs::write(scratch.base.join("wal.pruned"), "1=x\n").unwrap();
    assert!(scratch.wal.gaps(&starts).unwrap().len() > 1);
}

#[test]
fn an_interrupted_removal_leaves_no_gap_and_all_files_of_a_segment_go() {
    let scratch = Scratch::new("interrupted");
    scratch.put(1, 1..=700, ".partial");
    // Left by a crash while they were sealed.
    scratch.put(1, 3..=3, "");
    scratch.put(1, 4..=4, ".partial");
    let needed = needed(1, &[(1, 650)]);
    let plan = scratch.plan(&needed);
    assert_eq!((plan.files.len(), plan.segments()), (651, 649));
    let mut batches = 0;
    let result = scratch.wal.prune(&plan, || {
        batches += 1;
        Ok(batches <= 2)
    });
    assert_eq!((result.unwrap(), batches), (2 * BATCH, 3));
    let left: BTreeSet<u64> = scratch
        .wal
        .files()
        .unwrap()
        .iter()
        .map(|f| f.segment.number)
        .collect();
    let first = *left.first().unwrap();
    assert!(left.iter().copied().eq(first..=700), "{left:?}");
    assert_eq!(scratch.after(&needed), [(1, 650, 51)]);
}

#[test]
fn random_trees_keep_what_each_backup_can_use() {
    let mut state = 1_u64; // xorshift64*
    let mut below = |limit: u64| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    };
    let scratch = Scratch::new("random");
    for _ in 0..60 {
        fs::remove_dir_all(scratch.wal.path()).unwrap();
        fs::create_dir(scratch.wal.path()).unwrap();
        let _ = fs::remove_file(scratch.base.join("wal.pruned"));
        // Each timeline leaves an earlier one somewhere and goes on for some segments.
        let mut lines = vec![String::new()];
        let mut extents = vec![(1, 4 + below(8))];
        for number in 2..=2 + below(5) as u32 {
            let parent = below(u64::from(number) - 1) as usize;
            let (first, last) = extents[parent];
            let switch = (first + below(last - first + 1)) * MIB + below(MIB);
            let line = format!("{}\t{}\tx\n", parent + 1, Lsn(switch));
            lines.push(format!("{}{line}", lines[parent]));
            extents.push((switch / MIB, switch / MIB + 1 + below(6)));
            scratch.history(number, lines.last().unwrap());
        }
        for (number, (first, last)) in (1..).zip(&extents) {
            scratch.put(number, *first..=*last, ".zstd");
        }
        let backups: Vec<(u32, u64)> = (0..1 + below(4))
            .map(|_| {
                let index = below(extents.len() as u64) as usize;
                let (first, last) = extents[index];
                (index as u32 + 1, first + below(last - first + 1))
            })
            .collect();
        let followed = 1 + below(extents.len() as u64) as u32;
        let needed = needed(followed, &backups);
        let before: BTreeSet<Segment> = segments(&scratch);
        scratch.after(&needed);
        let after = segments(&scratch);
        for (number, history) in (1..).zip(&lines) {
            let history = TimelineHistory::parse(timeline(number), history.as_bytes()).unwrap();
            for start in &needed.from {
                let on_path = history.contains(start.timeline)
                    && history
                        .end_of(start.timeline)
                        .is_none_or(|end| start.lsn <= end);
                if !on_path {
                    continue;
                }
                // Every segment that recovery along this history may read.
                for segment in before.iter().filter(|segment| {
                    history.contains(segment.timeline) && segment.number >= start.lsn.0 / MIB
                }) {
                    let end = history.end_of(segment.timeline).unwrap_or(Lsn(u64::MAX));
                    let from_start = segment.timeline >= start.timeline;
                    if from_start && segment.start(scratch.wal.segment_size()) < end {
                        assert!(after.contains(segment), "{segment}, {start:?}, {lines:?}");
                    }
                }
            }
        }
    }
}

fn segments(scratch: &Scratch) -> BTreeSet<Segment> {
    let files = scratch.wal.files().unwrap();
    files.iter().map(|file| file.segment).collect()
}
