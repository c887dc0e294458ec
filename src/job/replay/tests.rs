//! Timeline paths through synthetic archives: which file each part is read from, and how far.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{
    ReadResult, Segments, Stopped, TimelineChoice, WalReader, choose_path, target_history,
};
use crate::crypto::MasterKey;
use crate::error::{ErrorKind, Result};
use crate::format::TimelineHistory;
use crate::format::wal::synthetic::{MIB, SYSTEM, Writer, main_data, size};
use crate::repository::{BackupInfo, WalDirectory};
use crate::sys::Stop;
use crate::unit::{Lsn, Segment, Timeline};

/// The start of the first record.
const BEGIN: Lsn = Lsn(MIB as u64 + 40);

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

/// A WAL archive in a temporary directory.
struct Archive(PathBuf);

impl Archive {
    fn new() -> Archive {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pgmoneta-replay-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Archive(path)
    }

    /// Stores the WAL of a timeline from the segment of `from` up to `end`: complete segments, and
    /// a partial one.
    fn store(&self, wal: &Writer, from: Lsn, end: Lsn) {
        let bytes = &wal.bytes[..usize::try_from(end.0).unwrap() - MIB];
        for (index, bytes) in bytes.chunks(MIB).enumerate() {
            let number = index as u64 + 1;
            let segment = Segment {
                timeline: timeline(wal.timeline),
                number,
            };
            if number < from.0 / MIB as u64 {
                continue;
            }
            let partial = if bytes.len() < MIB { ".partial" } else { "" };
            let mut bytes = bytes.to_vec();
            bytes.resize(MIB, 0);
            let name = format!("{}{partial}", segment.name(size()));
            std::fs::write(self.0.join(name), bytes).unwrap();
        }
    }

    fn add_history(&self, number: u32, switches: &[(u32, Lsn)]) -> TimelineHistory {
        let lines = switches
            .iter()
            .map(|(number, at)| format!("{number}\t{at}\tx\n"));
        let text: String = lines.collect();
        let name = timeline(number).history_name();
        std::fs::write(self.0.join(name), &text).unwrap();
        TimelineHistory::parse(timeline(number), text.as_bytes()).unwrap()
    }

    fn segments(&self) -> Segments {
        let key = Arc::new(MasterKey::for_tests(1));
        Segments::new(WalDirectory::new(&self.0, size()), key).unwrap()
    }

    /// Reads along a timeline path.
    fn read(&self, history: &TimelineHistory) -> ReadResult {
        let segments = self.segments();
        let reader = WalReader {
            segments: &segments,
            history,
            system_identifier: Some(SYSTEM),
            strict: false,
            stop: &Stop::new().unwrap(),
        };
        let mut next = BEGIN;
        reader
            .read(BEGIN, &mut |record, _| {
                assert!(record.start >= next, "{} is delivered twice", record.start);
                next = record.end;
                std::ops::ControlFlow::Continue(())
            })
            .unwrap()
    }

    fn last_transaction(&self, before: Lsn) -> Option<i64> {
        let segments = self.segments();
        let reader = WalReader {
            segments: &segments,
            history: &TimelineHistory::first(),
            system_identifier: Some(SYSTEM),
            strict: false,
            stop: &Stop::new().unwrap(),
        };
        reader.last_end_of_transaction(before).unwrap()
    }

    /// The timeline that is chosen for a backup that ends on timeline 1 at `end`.
    fn chosen_timeline(&self, end: Lsn, choice: TimelineChoice, followed: Option<u32>) -> u32 {
        let path = self.path(end, choice, followed).unwrap();
        path.timeline().number()
    }

    fn path(
        &self,
        end: Lsn,
        choice: TimelineChoice,
        followed: Option<u32>,
    ) -> Result<TimelineHistory> {
        let text = format!("STATUS=1\nSTART_WALPOS={BEGIN}\nEND_WALPOS={end}\n");
        let label = "20261122140300".parse().unwrap();
        let info = BackupInfo::parse(text.as_bytes(), &label).unwrap();
        let segments = self
            .segments()
            .with_followed_timeline(followed.and_then(Timeline::new));
        choose_path(&segments, &info, choice, &Stop::new().unwrap())
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Adds `count` records of about a page; returns the end of each.
fn records(wal: &mut Writer, count: usize) -> Vec<Lsn> {
    let mut ends = Vec::new();
    for _ in 0..count {
        wal.record(10, 0, &[7; 9000]);
        ends.push(wal.position());
    }
    ends
}

/// A timeline that branches off at the end of `wal`.
fn branch(wal: &Writer, timeline: u32) -> Writer {
    Writer {
        timeline,
        ..wal.clone()
    }
}

fn file_timeline(result: &ReadResult, index: usize) -> u32 {
    result.files[index].segment.timeline.number()
}

/// Three timelines in one segment, and the ends of the records of each. Timeline 1 has WAL after
/// its switch point.
struct ThreeTimelines {
    wal: [Writer; 3],
    ends: [Vec<Lsn>; 3],
}

impl ThreeTimelines {
    fn new() -> ThreeTimelines {
        let mut one = Writer::new();
        let first = records(&mut one, 4);
        let mut two = branch(&one, 2);
        let second = records(&mut two, 4);
        let mut three = branch(&two, 3);
        let third = records(&mut three, 4);
        records(&mut one, 20);
        ThreeTimelines {
            wal: [one, two, three],
            ends: [first, second, third],
        }
    }

    /// The received end of each timeline, the end of recovery, and the timeline of the file that is
    /// read.
    fn rows(&self) -> [([Option<Lsn>; 3], Lsn, u32); 10] {
        let [first, second, third] = &self.ends;
        let (a, b) = (first[3], second[3]);
        let one = Some(self.wal[0].position());
        let two = Some(self.wal[1].position());
        let inside = |index: usize| Some(Lsn(first[index].0 - 3000));
        [
            ([one, None, None], a, 1),
            ([one, inside(1), None], a, 1),
            ([one, inside(1), inside(2)], a, 1),
            ([inside(2), Some(second[1]), inside(3)], second[1], 2),
            ([one, two, inside(0)], b, 2),
            ([None, two, None], b, 2),
            ([None, None, Some(third[2])], third[2], 3),
            ([one, two, Some(third[2])], third[2], 3),
            ([one, None, Some(b)], b, 3),
            ([inside(1), inside(2), None], first[1], 2),
        ]
    }
}

#[test]
fn of_three_timelines_in_one_segment_the_file_that_can_be_read_furthest_is_used() {
    let three = ThreeTimelines::new();
    let (a, b) = (three.ends[0][3], three.ends[1][3]);
    for (received, end, from) in three.rows() {
        let archive = Archive::new();
        let history = archive.add_history(3, &[(1, a), (2, b)]);
        archive.add_history(2, &[(1, a)]);
        for (wal, end) in three.wal.iter().zip(received) {
            if let Some(end) = end {
                archive.store(wal, BEGIN, end);
            }
        }
        let result = archive.read(&history);
        assert_eq!(result.end, end, "{received:?}");
        assert_eq!(file_timeline(&result, 0), from, "{received:?}");
        let ending = result.stopped;
        assert!(matches!(ending, Stopped::EndOfWal(_)), "{ending:?}");
        // The newest timeline with a record after its switch point.
        let own = |timeline: usize, begin| received[timeline].is_some_and(|end| end > begin);
        let latest = match (own(2, b), own(1, a)) {
            (true, _) => 3,
            (false, true) => 2,
            (false, false) => 1,
        };
        let chosen = archive.chosen_timeline(three.ends[0][0], TimelineChoice::Latest, None);
        assert_eq!(chosen, latest, "{received:?}");
    }
}

#[test]
fn a_switch_at_the_end_of_a_segment_shares_no_file() {
    let mut one = Writer::new();
    records(&mut one, 2);
    // A segment switch: the rest of the segment is unused.
    one.record(0, 0x40, &[]);
    one.bytes.resize(MIB, 0);
    let a = one.position();
    let mut two = branch(&one, 2);
    let second = records(&mut two, 3);
    let first = records(&mut one, 5);
    let archive = Archive::new();
    let history = archive.add_history(2, &[(1, a)]);
    archive.store(&one, BEGIN, first[4]);
    let result = archive.read(&history);
    assert_eq!((result.end, result.files.len()), (a, 1));
    assert!(
        matches!(result.stopped, Stopped::EndOfWal(_)),
        "{:?}",
        result.stopped
    );
    assert_eq!(
        archive.chosen_timeline(BEGIN, TimelineChoice::Latest, Some(2)),
        1
    );
    assert_eq!(
        archive.chosen_timeline(BEGIN, TimelineChoice::Followed, Some(2)),
        1
    );
    // A page header is no record.
    archive.store(&two, a, Lsn(a.0 + 40));
    assert_eq!(
        archive.chosen_timeline(BEGIN, TimelineChoice::Followed, Some(2)),
        1
    );
    assert_eq!(archive.read(&history).end, a);
    archive.store(&two, a, second[1]);
    assert_eq!(
        archive.chosen_timeline(BEGIN, TimelineChoice::Followed, Some(2)),
        2
    );
    assert_eq!(archive.read(&history).end, second[1]);
    // The archive follows timeline 1 again: timeline 2 is another branch.
    assert_eq!(
        archive.chosen_timeline(BEGIN, TimelineChoice::Followed, Some(1)),
        1
    );
    assert_eq!(
        archive.chosen_timeline(BEGIN, TimelineChoice::Latest, Some(1)),
        2
    );
    // The followed timeline does not descend from this backup.
    assert_eq!(
        archive.chosen_timeline(first[0], TimelineChoice::Followed, Some(2)),
        1
    );
}

#[test]
fn a_segment_that_is_missing_at_a_switch_point_is_reported() {
    let mut one = Writer::new();
    let first = records(&mut one, 4);
    let a = first[3];
    let mut two = branch(&one, 2);
    let second = records(&mut two, 200);
    let archive = Archive::new();
    let history = archive.add_history(2, &[(1, a)]);
    archive.store(&one, BEGIN, a);
    archive.store(&two, Lsn(2 * MIB as u64), second[199]);
    let result = archive.read(&history);
    assert_eq!(result.end, a);
    let missing = Segment {
        timeline: timeline(2),
        number: 1,
    };
    assert_eq!(result.stopped, Stopped::Missing(missing, missing));
    assert_eq!(
        archive.chosen_timeline(BEGIN, TimelineChoice::Latest, None),
        2
    );
    // It was received in part only, although later segments were received.
    archive.store(&two, BEGIN, first[1]);
    let result = archive.read(&history);
    assert_eq!(result.end, a);
    assert!(
        matches!(result.stopped, Stopped::Damaged(..)),
        "{:?}",
        result.stopped
    );
}

/// Recovery to a position before the start of its target timeline makes a switch point before the
/// previous one.
#[test]
fn switch_points_that_decrease_are_followed_as_postgresql_does() {
    let mut one = Writer::new();
    let first = records(&mut one, 3);
    let b = first[2];
    let three = {
        let mut three = branch(&one, 3);
        records(&mut three, 3);
        three
    };
    records(&mut one, 3);
    let a = one.position();
    let mut two = branch(&one, 2);
    records(&mut two, 3);
    let archive = Archive::new();
    let history = archive.add_history(3, &[(1, a), (2, b)]);
    archive.store(&one, BEGIN, a);
    archive.store(&two, BEGIN, two.position());
    assert_eq!(archive.read(&history).end, b);
    archive.store(&three, BEGIN, three.position());
    let result = archive.read(&history);
    assert_eq!(
        (result.end, file_timeline(&result, 0)),
        (three.position(), 3)
    );
}

/// Timeline 2 has a switch point before its start, and of timeline 3 nothing was received: the
/// discarded WAL is not used.
#[test]
fn a_timeline_without_wal_in_the_history_is_not_chosen() {
    let archive = Archive::new();
    let mut one = Writer::new();
    let ends = records(&mut one, 20);
    let mut two = branch(&one, 2);
    archive.store(&one, BEGIN, one.position());
    archive.add_history(2, &[(1, one.position())]);
    records(&mut two, 10);
    archive.store(&two, BEGIN, two.position());
    archive.add_history(3, &[(1, one.position()), (2, ends[9])]);
    let early = ends[4];
    // A changed line: what the archive follows is not left out silently.
    archive.add_history(3, &[(1, ends[7]), (2, ends[9])]);
    let refused = archive.path(early, TimelineChoice::Followed, Some(3));
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unreachable);
    assert!(
        refused
            .message()
            .ends_with("00000003.history: it contradicts 00000002.history"),
        "{refused}"
    );
    archive.add_history(3, &[(1, one.position()), (2, ends[9])]);
    assert_eq!(
        archive.chosen_timeline(early, TimelineChoice::Followed, Some(3)),
        1
    );
    assert_eq!(
        archive.chosen_timeline(early, TimelineChoice::Followed, Some(2)),
        2
    );
    let path = |followed| {
        let segments = archive
            .segments()
            .with_followed_timeline(Timeline::new(followed));
        let path = target_history(&segments, TimelineChoice::Followed, &Stop::new().unwrap());
        path.unwrap().unwrap().timeline().number()
    };
    assert_eq!((path(2), path(3)), (2, 1));
}

#[test]
fn the_last_transaction_is_found_across_segments_without_one() {
    let mut wal = Writer::new();
    let commit = |wal: &mut Writer, time: i64| wal.record(1, 0, &main_data(&time.to_le_bytes()));
    let first = commit(&mut wal, 5);
    let second = commit(&mut wal, 7);
    let after = wal.record(10, 0, &[0; 3]);
    // This record fills segments.
    wal.record(10, 0, &vec![1; 3 * MIB]);
    let far = records(&mut wal, 100)[99];
    let last = commit(&mut wal, 9);
    let archive = Archive::new();
    archive.store(&wal, BEGIN, wal.position());
    let time = |micros: i64| Some(946_684_800_000_000 + micros);
    assert_eq!(archive.last_transaction(first), None);
    assert_eq!(archive.last_transaction(second), time(5));
    assert_eq!(archive.last_transaction(after), time(7));
    assert_eq!(archive.last_transaction(far), time(7));
    assert_eq!(archive.last_transaction(wal.position()), time(9));
    // Before a gap, the WAL is unknown.
    let missing = Segment {
        timeline: timeline(1),
        number: 3,
    };
    std::fs::remove_file(archive.0.join(missing.name(size()))).unwrap();
    assert_eq!(archive.last_transaction(last), None);
}

#[test]
fn wal_of_an_unknown_version_is_read() {
    let mut wal = Writer::new();
    wal.magic = 0xD134;
    let end = records(&mut wal, 200)[199];
    let archive = Archive::new();
    archive.store(&wal, BEGIN, end);
    let result = archive.read(&TimelineHistory::first());
    assert_eq!((result.end, result.files.len()), (end, 2));
    assert!(matches!(result.stopped, Stopped::EndOfWal(_)));
}
