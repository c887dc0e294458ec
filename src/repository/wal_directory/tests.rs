use std::fs::{self, File};

use proptest::prelude::*;

use super::*;
use crate::format::TimelineHistory;
use crate::repository::WalEnd;
use crate::unit::Lsn;

struct Scratch(WalDirectory);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("pgmoneta-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch(WalDirectory::new(&path, SegmentSize::new(1 << 20).unwrap()))
    }

    fn put(&self, name: &str) {
        let plain = name.len() == 24 || name.ends_with(PARTIAL_SUFFIX);
        let file = File::create(self.0.path.join(name)).unwrap();
        file.set_len(if plain { 1 << 20 } else { 10 }).unwrap();
    }

    fn put_all(&self, names: &[&str]) {
        names.iter().for_each(|name| self.put(name));
    }

    fn end(&self, number: &str, history: &str) -> Option<WalEnd> {
        let timeline = number.parse().unwrap();
        let history = TimelineHistory::parse(timeline, history.as_bytes()).unwrap();
        self.0.end_of_path(&history).unwrap()
    }

    fn gaps(&self, backups: &[(u32, u64)]) -> Vec<String> {
        let backups = backups.iter();
        let backups: Vec<_> = backups
            .map(|(number, lsn)| timeline(*number).at(Lsn(*lsn)))
            .collect();
        let gaps = self.0.gaps(&backups).unwrap();
        gaps.iter()
            .map(|gap| {
                let names = [gap.first, gap.last].map(|s| s.name(self.0.segment_size));
                names.join("-")
            })
            .collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0.path);
    }
}

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

#[test]
fn one_file_per_segment_is_listed_and_foreign_files_are_not() {
    let scratch = Scratch::new("wal-list");
    scratch.put_all(&[
        "000000010000000000000002",
        "000000010000000000000001.zstd",
        "000000010000000000000001",
        "000000010000000000000003.lz4.aes",
        "000000010000000000000005.partial",
        "000000010000000000000004.aes",
        "000000010000000000000004",
        "000000010000000000000005.partial.x",
        "00000001000000000000000a",
        "000000010000000000000006.zip",
        ".000000010000000000000007.zstd.tmp",
        "backup_label",
        "00000002.history",
    ]);
    let segments = scratch.0.segments().unwrap();
    let names: Vec<_> = segments.iter().map(WalFile::name).collect();
    assert_eq!(
        names,
        [
            "000000010000000000000001.zstd",
            "000000010000000000000002",
            "000000010000000000000003.lz4.aes",
            "000000010000000000000004.aes",
            "000000010000000000000005.partial",
        ]
    );
    assert!(segments[2].suffixes.encrypted);
    let end = scratch.end("1", "").unwrap();
    assert!(end.file.partial && end.next == Lsn(5 << 20) && end.received == Lsn(5 << 20));
    for file in &segments {
        assert_eq!(scratch.0.find(file.segment).unwrap().as_ref(), Some(file));
    }
    assert_eq!(scratch.0.sweep().unwrap(), 1);
    assert_eq!(scratch.0.segments().unwrap(), segments);
}

#[test]
fn a_segment_that_no_pass_has_listed_is_found_by_its_names() {
    let scratch = Scratch::new("wal-unlisted");
    scratch.put_all(&[
        "000000010000000000000001.zstd",
        "000000010000000000000002.zstd",
        "000000010000000000000003",
        "000000010000000000000004.gz.aes",
        "000000010000000000000008",
        "000000010000000000000009.partial",
        "000000020000000000000004",
    ]);
    let all = scratch.0.segments().unwrap();
    assert_eq!(all.len(), 7);
    for hidden in 1..128_u32 {
        let is_hidden = |index: usize| hidden & (1 << index) != 0;
        let listed = all
            .iter()
            .enumerate()
            .filter(|(index, _)| !is_hidden(*index));
        let listed: Vec<_> = listed.map(|(_, file)| file.clone()).collect();
        let found = scratch.0.unlisted(&listed).unwrap();
        // Between a listed segment and a missing one, each is found.
        for (index, file) in all
            .iter()
            .enumerate()
            .filter(|(index, _)| is_hidden(*index))
        {
            let known = |other: &WalFile| listed.contains(other) || found.contains(other);
            let timeline = file.segment.timeline;
            let next = all
                .get(index + 1)
                .filter(|next| next.segment.number == file.segment.number + 1);
            let before = index.checked_sub(1).map(|before| &all[before]);
            let before = before.filter(|before| before.segment.number + 1 == file.segment.number);
            let reachable = [next, before].into_iter().flatten();
            let mut reachable = reachable.filter(|other| other.segment.timeline == timeline);
            assert_eq!(
                known(file),
                reachable.any(known),
                "{hidden:b} {}",
                file.name()
            );
        }
        assert!(
            found.iter().all(|file| !listed.contains(file)),
            "{hidden:b}"
        );
    }
    assert_eq!(scratch.0.unlisted(&all).unwrap(), []);
}

#[test]
fn the_end_is_after_the_last_segment_also_after_ff() {
    let scratch = Scratch::new("wal-end");
    assert_eq!(scratch.end("1", ""), None);
    scratch.put("000000010000000000000FFF.zstd");
    let end = scratch.end("1", "").unwrap();
    assert_eq!((end.timeline, end.next), (timeline(1), Lsn(1 << 32)));
    scratch.put_all(&["000000090000000000000001", "0000000A0000000000000001"]);
    let history = "1\t0/100000\tx\n9\t0/180000\tx";
    assert_eq!(scratch.end("10", history).unwrap().timeline, timeline(10));
}

#[test]
fn the_end_is_on_the_history_and_not_on_another_branch() {
    let scratch = Scratch::new("wal-branches");
    scratch.put_all(&[
        "000000010000000000000003.zstd",
        "000000010000000000000004",
        "000000010000000000000005",
        "000000010000000000000006.partial",
        "000000020000000000000005",
        "000000020000000000000006.partial",
    ]);
    let next = |number: &str, history: &str| {
        let end = scratch.end(number, history);
        end.map(|end| {
            (
                end.timeline.number(),
                end.next.0 >> 20,
                end.received.0 >> 20,
            )
        })
    };
    assert_eq!(
        next("1", ""),
        Some((1, 6, 6)),
        "a fail-over that was taken back"
    );
    assert_eq!(next("2", "1\t0/500148\tx"), Some((2, 6, 6)));
    // A recovery to another position: in the same segment, before it, at a boundary, and after the
    // end.
    assert_eq!(next("3", "1\t0/500160\tx"), Some((1, 6, 6)));
    assert_eq!(next("3", "1\t0/300028\tx"), Some((1, 4, 6)));
    assert_eq!(next("3", "1\t0/400000\tx"), Some((1, 4, 6)));
    assert_eq!(next("3", "1\t0/900000\tx"), Some((1, 6, 6)));
    // From timeline 2, which came from timeline 1.
    assert_eq!(next("3", "1\t0/500148\tx\n2\t0/500160\tx"), Some((2, 6, 6)));
    // Recovery targeted timeline 2 and ended before its start.
    assert_eq!(next("3", "1\t0/500148\tx\n2\t0/500028\tx"), Some((1, 6, 6)));
    // Timeline 3 has a file.
    scratch.put("000000030000000000000005.partial");
    assert_eq!(next("3", "1\t0/500160\tx"), Some((3, 5, 5)));
    // No segment along the history.
    assert_eq!(next("5", "4\t0/500160\tx"), None);
}

#[test]
fn history_files_are_found_under_both_names() {
    let scratch = Scratch::new("wal-history");
    let text = b"1\t0/5000000\treason\n";
    scratch.0.store_history(timeline(2), text).unwrap();
    let lower = scratch.0.path.join("0000000a.history");
    fs::write(lower, b"1\t0/5000000\treason\n\0").unwrap();
    assert_eq!(scratch.0.history(timeline(2)).unwrap().unwrap(), text);
    assert_eq!(scratch.0.history(timeline(10)).unwrap().unwrap(), text);
    assert_eq!(scratch.0.history(timeline(3)).unwrap(), None);
    assert_eq!(
        scratch.0.history_timelines().unwrap(),
        [timeline(2), timeline(10)]
    );
}

#[test]
fn a_missing_segment_is_a_gap() {
    let scratch = Scratch::new("wal-gap");
    assert!(scratch.gaps(&[]).is_empty());
    scratch.put_all(&[
        "000000010000000000000FFE.zstd",
        "000000010000000000000FFF",
        "000000010000000100000000.partial",
    ]);
    assert!(scratch.gaps(&[]).is_empty());
    assert!(scratch.gaps(&[(1, 0xFFE0_0028)]).is_empty());
    assert_eq!(
        scratch.gaps(&[(1, 0xFFC0_0028)]),
        ["000000010000000000000FFC-000000010000000000000FFD"]
    );
    scratch.put("000000010000000100000002.zstd");
    assert_eq!(
        scratch.gaps(&[]),
        ["000000010000000100000000-000000010000000100000001"],
        "a partial segment is a gap once there is WAL after it"
    );
    assert!(scratch.gaps(&[(1, 0x1_0020_0000)]).is_empty());
    let gap = scratch.0.gaps(&[]).unwrap()[0].to_string();
    assert!(gap.contains("(1/0 to 1/200000) are missing"), "{gap}");
}

#[test]
fn a_file_of_another_size_is_a_gap() {
    let scratch = Scratch::new("wal-short");
    scratch.put_all(&["000000010000000000000001", "000000010000000000000003"]);
    fs::write(scratch.0.path.join("000000010000000000000002"), b"short").unwrap();
    assert_eq!(
        scratch.gaps(&[]),
        ["000000010000000000000002-000000010000000000000002"]
    );
}

#[test]
fn timelines_must_follow_each_other() {
    let scratch = Scratch::new("wal-switch");
    scratch.put_all(&[
        "000000010000000000000003.zstd",
        "000000010000000000000004.partial",
        "000000020000000000000004.zstd",
        "000000020000000000000005.partial",
    ]);
    assert!(
        scratch.gaps(&[]).is_empty(),
        "nothing is known of timeline 2"
    );
    let history = |number, text: &str| {
        let content = text.as_bytes();
        scratch.0.store_history(timeline(number), content).unwrap();
    };
    history(2, "1\t0/400148\tpromotion\n");
    assert!(scratch.gaps(&[]).is_empty());
    assert!(scratch.gaps(&[(1, 0x30_0028)]).is_empty());
    assert!(scratch.gaps(&[(2, 0x50_0028)]).is_empty());
    fs::remove_file(scratch.0.path.join("000000010000000000000004.partial")).unwrap();
    assert!(scratch.gaps(&[]).is_empty(), "timeline 2 has a copy of it");
    fs::remove_file(scratch.0.path.join("000000020000000000000004.zstd")).unwrap();
    assert_eq!(
        scratch.gaps(&[]),
        ["000000020000000000000004-000000020000000000000004"],
        "it is the file that recovery reads"
    );
    history(3, "1\t0/400148\tpromotion\n2\t0/600000\tpromotion\n");
    scratch.put("000000030000000000000006.partial");
    assert_eq!(
        scratch.gaps(&[(2, 0x50_0028)]),
        ["000000020000000000000005-000000020000000000000005"],
        "its last bytes are missing"
    );
    scratch.put("000000020000000000000005.zstd");
    assert!(
        scratch.gaps(&[(2, 0x50_0028)]).is_empty(),
        "the switch is at a boundary"
    );
    history(3, "1\t0/400148\tpromotion\n2\t0/700148\tpromotion\n");
    fs::remove_file(scratch.0.path.join("000000030000000000000006.partial")).unwrap();
    scratch.put("000000030000000000000007.partial");
    assert_eq!(
        scratch.gaps(&[(2, 0x50_0028)]),
        ["000000020000000000000006-000000020000000000000006"]
    );
}

#[test]
fn only_branches_that_a_backup_needs_have_gaps() {
    let scratch = Scratch::new("wal-tree-gaps");
    let history = |number, text: &str| {
        let content = text.as_bytes();
        scratch.0.store_history(timeline(number), content).unwrap();
    };
    history(2, "1\t0/500148\tfirst recovery\n");
    history(3, "1\t0/700148\tsecond recovery\n");
    history(
        4,
        "1\t0/700148\tsecond recovery\n3\t0/600028\tthird, to before the second\n",
    );
    scratch.put_all(&[
        "000000010000000000000004",
        "000000010000000000000005",
        "000000010000000000000006",
        "000000010000000000000007.partial",
        // A segment of timeline 2 is missing.
        "000000020000000000000005",
        "000000020000000000000007.partial",
        "000000030000000000000007",
        "000000030000000000000008.partial",
        "000000040000000000000006.partial",
    ]);
    let hole = ["000000020000000000000006-000000020000000000000006"];
    assert_eq!(scratch.gaps(&[]), hole);
    assert_eq!(
        scratch.gaps(&[(1, 0x40_0028)]),
        hole,
        "it leads to timeline 2 too"
    );
    assert_eq!(scratch.gaps(&[(2, 0x50_0200)]), hole);
    assert!(
        scratch.gaps(&[(1, 0x60_0028)]).is_empty(),
        "after the two parted"
    );
    assert!(scratch.gaps(&[(3, 0x80_0028)]).is_empty());
    assert_eq!(scratch.gaps(&[(3, 0x80_0028), (2, 0x50_0200)]), hole);
    // All histories from before it share this gap, and it is reported once.
    fs::remove_file(scratch.0.path.join("000000010000000000000004")).unwrap();
    let lost = "000000010000000000000004-000000010000000000000004";
    assert_eq!(scratch.gaps(&[(1, 0x40_0028)]), [lost, hole[0]]);
    // The segment in which timeline 3 starts has no other file.
    fs::remove_file(scratch.0.path.join("000000030000000000000007")).unwrap();
    assert_eq!(
        scratch.gaps(&[(1, 0x60_0028)]),
        ["000000030000000000000007-000000030000000000000007"]
    );
    assert!(scratch.gaps(&[(4, 0x60_0100)]).is_empty());
}

proptest! {
    #[test]
    fn gaps_are_the_missing_segments(
        numbers in prop::collection::btree_set(4000u64..4200, 1..40),
        tli in 9u32..12,
    ) {
        let scratch = Scratch::new("wal-prop");
        let size = scratch.0.segment_size;
        let segment = |number| Segment { timeline: timeline(tli), number };
        for &number in &numbers {
            scratch.put(&segment(number).name(size));
        }
        let mut all = numbers.clone();
        for gap in scratch.0.gaps(&[]).unwrap() {
            for number in gap.first.number..=gap.last.number {
                prop_assert!(all.insert(number), "{} is there", number);
            }
        }
        let (first, last) = (*numbers.first().unwrap(), *numbers.last().unwrap());
        prop_assert!(all.into_iter().eq(first..=last));
        let history = TimelineHistory::without_ancestors(timeline(tli));
        let end = scratch.0.end_of_path(&history).unwrap().unwrap();
        prop_assert_eq!(end.next, segment(last).end(size));
    }
}

#[test]
fn what_is_no_file_is_a_gap() {
    let scratch = Scratch::new("wal-no-file");
    let names = [1, 2, 3, 4].map(|number| format!("00000001000000000000000{number}.zstd"));
    for name in [&names[0], &names[3]] {
        scratch.put(name);
    }
    fs::create_dir(scratch.0.path.join(&names[1])).unwrap();
    std::os::unix::fs::symlink("nothing", scratch.0.path.join(&names[2])).unwrap();
    let gap = "000000010000000000000002-000000010000000000000003";
    assert_eq!(scratch.gaps(&[]), [gap]);
}

#[test]
fn foreign_files_are_listed() {
    let scratch = Scratch::new("foreign");
    scratch.put_all(&[
        "000000010000000000000001",
        "000000010000000000000002.zstd.aes",
        "000000010000000000000003.partial",
        ".spare.1",
        ".00000002.history.tmp",
    ]);
    fs::write(scratch.0.path.join("00000002.history"), "1\t0/3000000\tx\n").unwrap();
    fs::write(scratch.0.path.join("0000000a.history"), "").unwrap();
    assert!(scratch.0.foreign_files().unwrap().is_empty());
    for name in [
        "notes.txt",
        "000000010000000000000003.partial~",
        "2.history",
        "00000001000000000000000",
    ] {
        scratch.put(name);
    }
    fs::create_dir(scratch.0.path.join("000000010000000000000004")).unwrap();
    let foreign = scratch.0.foreign_files().unwrap();
    let names: Vec<_> = foreign.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(
        names,
        [
            "00000001000000000000000",
            "000000010000000000000003.partial~",
            "000000010000000000000004",
            "2.history",
            "notes.txt"
        ]
    );
    assert_eq!(scratch.0.segments().unwrap().len(), 4);
}
