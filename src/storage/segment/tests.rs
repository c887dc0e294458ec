use std::fs::{self, OpenOptions};

use proptest::prelude::*;

use super::*;
use crate::unit::Timeline;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("pgmoneta-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const MIB: u64 = 1 << 20;

fn small() -> SegmentSize {
    SegmentSize::new(MIB).unwrap()
}

fn segment(timeline: u32, number: u64) -> Segment {
    Segment {
        timeline: Timeline::new(timeline).unwrap(),
        number,
    }
}

/// The byte expected at a position; never zero.
fn byte_at(position: u64) -> u8 {
    u8::try_from(position * 7 % 251).unwrap() + 1
}

fn bytes(start: Lsn, count: u64) -> Vec<u8> {
    (start.0..start.0 + count).map(byte_at).collect()
}

#[test]
fn a_segment_is_partial_until_it_is_complete() {
    let directory = Directory::new("seg-complete");
    let mut file = SegmentFile::open(&directory.0, segment(10, 0xFF), small(), None).unwrap();
    let start = Lsn(0xFF * MIB);
    assert_eq!(directory.names(), ["0000000A00000000000000FF.partial"]);
    let path = directory.0.join("0000000A00000000000000FF.partial");
    assert_eq!(fs::metadata(&path).unwrap().len(), MIB);
    assert_eq!(file.append(start, &bytes(start, 100)).unwrap(), 100);
    assert!(file.is_dirty() && !file.is_full());
    assert_eq!(file.sync().unwrap().get(), start.advance(100));
    assert!(file.complete(None).is_err(), "it is not full");

    let mut file = SegmentFile::open(&directory.0, segment(10, 0xFF), small(), None).unwrap();
    assert_eq!(file.received(), start.advance(100));
    assert_eq!(file.position(), start, "it is received again");
    let taken = file.append(start, &bytes(start, MIB + 50)).unwrap();
    assert_eq!(taken as u64, MIB, "the rest belongs to the next one");
    assert!(file.is_full());
    let spare = SpareSegment::create(&directory.0, small()).unwrap();
    let (durable, next) = file.complete(Some(spare)).unwrap();
    assert_eq!(durable.get(), Lsn(0x100 * MIB));
    assert_eq!(next.unwrap().segment(), segment(10, 0x100));
    assert_eq!(
        directory.names(),
        [
            "0000000A00000000000000FF",
            "0000000A0000000000000100.partial"
        ]
    );
    let content = fs::read(directory.0.join("0000000A00000000000000FF")).unwrap();
    assert!(content == bytes(start, MIB));
}

#[test]
fn existing_bytes_never_change() {
    let directory = Directory::new("seg-same");
    let start = Lsn(MIB);
    let open = || SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap();
    open().append(start, &bytes(start, 1000)).unwrap();
    let mut other = bytes(start, 1000);
    other[700] ^= 0xFF;
    let mut file = open();
    file.append(start, &other[..700]).unwrap();
    let refused = file.append(start.advance(700), &other[700..]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.message().contains("0/1002BC"), "{refused}");
    let content = fs::read(directory.0.join("000000010000000000000001.partial")).unwrap();
    assert!(
        content[..1000] == bytes(start, 1000),
        "nothing was overwritten"
    );
}

#[test]
fn bytes_lost_in_a_power_failure_are_written_again() {
    let directory = Directory::new("seg-lost");
    let start = Lsn(MIB);
    let open = || SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap();
    open().append(start, &bytes(start, 20_000)).unwrap();
    let path = directory.0.join("000000010000000000000001.partial");
    let lost = OpenOptions::new().write(true).open(&path).unwrap();
    lost.write_all_at(&[0; 4096], 8192).unwrap();
    let mut file = open();
    assert_eq!(file.received(), start.advance(20_000));
    file.append(start, &bytes(start, 30_000)).unwrap();
    assert!(fs::read(&path).unwrap()[..30_000] == bytes(start, 30_000));
}

#[test]
fn a_gap_is_rejected() {
    let directory = Directory::new("seg-gap");
    let mut file = SegmentFile::open(&directory.0, segment(1, 3), small(), None).unwrap();
    for at in [3 * MIB + 1, 3 * MIB - 1, 0] {
        assert_eq!(
            file.append(Lsn(at), &[1]).unwrap_err().kind(),
            ErrorKind::Protocol
        );
    }
}

#[test]
fn a_short_partial_file_is_extended_and_a_long_one_rejected() {
    let directory = Directory::new("seg-size");
    let path = directory.0.join("000000010000000000000001.partial");
    fs::write(&path, bytes(Lsn(MIB), 5)).unwrap();
    let file = SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap();
    assert_eq!(file.received(), Lsn(MIB + 5));
    assert_eq!(fs::metadata(&path).unwrap().len(), MIB);
    fs::write(&path, vec![1; usize::try_from(MIB).unwrap() + 1]).unwrap();
    let refused = SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_file_without_room_grows_and_becomes_the_same_segment() {
    let directory = Directory::new("seg-growing");
    let start = Lsn(MIB);
    let open = || SegmentFile::open_growing(&directory.0, segment(1, 1), small()).unwrap();
    let length = || {
        let path = directory.0.join("000000010000000000000001.partial");
        fs::metadata(path).unwrap().len()
    };
    let mut file = open();
    assert_eq!(length(), 0);
    file.append(start, &bytes(start, 5000)).unwrap();
    assert_eq!(file.sync().unwrap().get(), start.advance(5000));
    assert_eq!(length(), 5000);
    file.abandon().unwrap();
    let mut file = open();
    assert_eq!((file.received(), length()), (start.advance(5000), 5000));
    let accepted = file.accept_existing(|| Ok(Some(start.advance(4000))));
    assert_eq!(accepted.unwrap().unwrap().get(), start.advance(4000));
    let (from, durable) = file.rewind(None);
    assert_eq!((from, durable), (start, start.advance(4000)));
    file.append(start, &bytes(start, MIB)).unwrap();
    file.complete(None).unwrap();
    assert_eq!(directory.names(), ["000000010000000000000001"]);
    let content = fs::read(directory.0.join("000000010000000000000001")).unwrap();
    assert!(content == bytes(start, MIB));
}

#[test]
fn after_a_failed_sync_a_new_file_is_durable_only_when_it_has_all_of_the_old_one() {
    let directory = Directory::new("seg-over");
    let start = Lsn(MIB);
    let mut file = SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap();
    file.append(start, &bytes(start, 5000)).unwrap();
    assert_eq!(file.sync().unwrap().get(), start.advance(5000));
    file.failed = true; // as after a sync that failed
    assert!(file.sync().is_err() && file.append(start.advance(5000), &[1]).is_err());
    file.start_over().unwrap();
    assert_eq!(file.rewind(None), (start, start));
    file.append(start, &bytes(start, 4999)).unwrap();
    assert_eq!(file.sync().unwrap().get(), start, "the old one has more");
    let partial = directory.0.join("000000010000000000000001.partial");
    assert!(fs::read(&partial).unwrap()[..5000] == bytes(start, 5000));
    assert_eq!(directory.names().len(), 2);
    file.append(start.advance(4999), &bytes(start.advance(4999), 2))
        .unwrap();
    assert_eq!(file.sync().unwrap().get(), start.advance(5001));
    assert_eq!(directory.names(), ["000000010000000000000001.partial"]);
    assert!(fs::read(&partial).unwrap()[..5001] == bytes(start, 5001));

    file.failed = true;
    file.start_over().unwrap();
    file.append(start, &bytes(start, MIB)).unwrap();
    file.complete(None).unwrap();
    assert_eq!(directory.names(), ["000000010000000000000001"]);
}

#[test]
fn a_new_file_replaces_the_old_one_only_when_it_has_all_that_was_received() {
    let directory = Directory::new("seg-lives");
    let start = Lsn(MIB);
    let open = || SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap();
    let mut file = open();
    file.append(start, &bytes(start, 5000)).unwrap();
    assert_eq!(file.sync().unwrap().get(), start.advance(5000));
    drop(file);
    let mut file = open(); // after a restart it is received again
    file.append(start, &bytes(start, 10)).unwrap();
    file.failed = true;
    file.start_over().unwrap();
    file.append(start, &bytes(start, 100)).unwrap();
    assert_eq!(file.sync().unwrap().get(), start, "the old one has more");
    let partial = directory.0.join("000000010000000000000001.partial");
    assert!(fs::read(&partial).unwrap()[..5000] == bytes(start, 5000));

    // The new file receives more than the old one, without a sync, and fails too.
    file.append(start.advance(100), &bytes(start.advance(100), 5900))
        .unwrap();
    file.failed = true;
    file.start_over().unwrap();
    file.append(start, &bytes(start, 5999)).unwrap();
    assert_eq!(file.sync().unwrap().get(), start);
    assert_eq!(
        (file.received(), file.immutable_end()),
        (start.advance(6000), start.advance(5999))
    );
    assert!(fs::read(&partial).unwrap()[..5000] == bytes(start, 5000));
    file.append(start.advance(5999), &bytes(start.advance(5999), 1))
        .unwrap();
    assert_eq!(file.sync().unwrap().get(), start.advance(6000));
    assert!(fs::read(&partial).unwrap()[..6000] == bytes(start, 6000));
    assert_eq!(directory.names().len(), 1);
}

#[test]
fn a_new_file_that_cannot_be_created_leaves_the_old_one() {
    let directory = Directory::new("seg-over-fails");
    let start = Lsn(MIB);
    let mut file = SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap();
    file.append(start, &bytes(start, 5000)).unwrap();
    file.sync().unwrap();
    file.failed = true;
    let hidden = directory.0.join(".000000010000000000000001.partial.tmp");
    fs::create_dir(&hidden).unwrap(); // blocks the path
    for _ in 0..2 {
        file.start_over().unwrap_err();
        assert!(file.has_failed() && file.append(start, &[1]).is_err());
        assert_eq!(file.received(), start.advance(5000));
    }
    fs::remove_dir(&hidden).unwrap();
    file.start_over().unwrap();
    file.append(start, &bytes(start, 100)).unwrap();
    assert_eq!(file.sync().unwrap().get(), start);
    let partial = directory.0.join("000000010000000000000001.partial");
    assert!(fs::read(&partial).unwrap()[..5000] == bytes(start, 5000));
    file.close_partial().unwrap();
    assert_eq!(directory.names(), ["000000010000000000000001.partial"]);
}

#[test]
fn a_new_file_accepts_only_the_bytes_of_the_old_one() {
    let directory = Directory::new("seg-over-same");
    let start = Lsn(MIB);
    let mut file = SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap();
    file.append(start, &bytes(start, 5000)).unwrap();
    file.sync().unwrap();
    file.failed = true;
    file.start_over().unwrap();
    let mut other = bytes(start, 6000);
    other[4000] ^= 0xFF;
    let refused = file.append(start, &other).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    assert!(refused.message().contains("0/100FA0"), "{refused}");
}

#[test]
fn an_existing_file_is_never_replaced() {
    let directory = Directory::new("seg-in-place");
    let (start, next) = (Lsn(MIB), Lsn(2 * MIB));
    let open = |number| SegmentFile::open(&directory.0, segment(1, number), small(), None).unwrap();
    open(2).append(next, &bytes(next, 5000)).unwrap();
    let mut file = open(1);
    file.append(start, &bytes(start, MIB)).unwrap();
    let spare = SpareSegment::create(&directory.0, small()).unwrap();
    let (durable, following) = file.complete(Some(spare)).unwrap();
    assert_eq!(durable.get(), next);
    assert!(following.is_none(), "it is to be opened");
    assert_eq!(open(2).received(), next.advance(5000));

    let mut again = open(1);
    again.append(start, &bytes(start, MIB)).unwrap();
    let refused = again.complete(None).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    let names = directory.names();
    assert!(names.contains(&"000000010000000000000001".to_owned()));
    assert!(names.contains(&"000000010000000000000001.partial".to_owned()));
}

#[test]
fn at_most_256_kib_are_received_again_after_a_reconnect() {
    let directory = Directory::new("seg-rewind");
    let size = SegmentSize::new(64 * MIB).unwrap();
    let start = Lsn(64 * MIB);
    let mut file = SegmentFile::open(&directory.0, segment(1, 1), size, None).unwrap();
    let fill = |file: &mut SegmentFile| {
        for at in (0..20).map(|n| start.advance(n * MIB)) {
            file.append(at, &bytes(at, MIB)).unwrap();
        }
    };
    fill(&mut file);
    assert_eq!(file.rewind(None), (start, start), "nothing is proven yet");
    fill(&mut file);
    file.sync().unwrap();
    let end = start.advance(20 * MIB);
    let from = Lsn(end.0 - MIB / 4);
    assert_eq!(file.rewind(None), (from, end));
    file.append(from, &bytes(from, MIB / 8)).unwrap();
    assert_eq!(file.sync().unwrap().get(), end, "no proof is taken back");
    file.rewind(None);
    file.append(from, &bytes(from, MIB / 4)).unwrap();
    file.append(end, &bytes(end, 1000)).unwrap();
    file.rewind(None);
    file.append(from, &bytes(from, 1000)).unwrap();
    assert_eq!(
        file.sync().unwrap().get(),
        end,
        "what was not synced is not proven"
    );

    // The server left the timeline before the end of what was received.
    let left = start.advance(10 * MIB);
    let from = Lsn(left.0 - MIB / 4);
    assert_eq!(file.rewind(Some(left)), (from, left));
    file.append(from, &bytes(from, MIB / 4)).unwrap();
    assert_eq!(file.sync().unwrap().get(), left);
    assert_eq!(file.received(), end.advance(1000), "it is kept");
}

#[test]
fn a_closed_partial_segment_is_kept_if_it_has_bytes() {
    let directory = Directory::new("seg-leave");
    let open = || SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap();
    open().close_partial().unwrap();
    assert!(directory.names().is_empty());
    let mut file = open();
    file.append(Lsn(MIB), &[1]).unwrap();
    file.close_partial().unwrap();
    open().close_partial().unwrap();
    assert_eq!(directory.names(), ["000000010000000000000001.partial"]);
}

#[test]
fn an_unused_spare_segment_is_removed() {
    let directory = Directory::new("seg-spare");
    let spare = SpareSegment::create(&directory.0, small()).unwrap();
    let other = SpareSegment::create(&directory.0, small()).unwrap();
    assert_eq!(directory.names().len(), 2);
    drop((spare, other));
    assert!(directory.names().is_empty());
}

#[test]
fn existing_bytes_can_be_accepted_without_receiving_them_again() {
    let directory = Directory::new("seg-prove");
    let start = Lsn(MIB);
    let open = || SegmentFile::open(&directory.0, segment(1, 1), small(), None).unwrap();
    open().append(start, &bytes(start, 5000)).unwrap();
    let partial = directory.0.join("000000010000000000000001.partial");

    let mut file = open();
    assert_eq!(file.accept_existing(|| Ok(None)).unwrap(), None);
    assert_eq!(file.rewind(None), (start, start), "nothing is proven");

    let mut file = open();
    let end = start.advance(4000);
    assert_eq!(
        file.accept_existing(|| Ok(Some(end)))
            .unwrap()
            .unwrap()
            .get(),
        end
    );
    assert!(fs::read(&partial).unwrap()[..5000] == bytes(start, 5000));
    assert_eq!(file.immutable_end(), end);
    assert_eq!(file.rewind(None), (start, end));
    // Accepted bytes must not change; bytes after them may.
    let mut other = bytes(start, 6000);
    other[3999] ^= 0xFF;
    let refused = file.append(start, &other).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Corrupt);
    other[3999] ^= 0xFF;
    other[4000] ^= 0xFF;
    file.append(start, &other).unwrap();
    assert!(fs::read(&partial).unwrap()[..6000] == other);

    let failure = open().accept_existing(|| Err(Error::new(ErrorKind::Stopped, "stop")));
    assert_eq!(failure.unwrap_err().kind(), ErrorKind::Stopped);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// For any split into messages and any reconnects the archive equals the stream.
    #[test]
    fn any_split_of_the_stream_gives_the_same_files(
        cuts in prop::collection::vec((1u64..700_000, 0u8..8), 1..24),
        high in 0u64..0x1000,
    ) {
        let directory = Directory::new("seg-cuts");
        let first = Lsn((high << 32) + 0xFFF * MIB); // the last segment before a new log id
        let size = small();
        let mut at = first;
        let mut durable = first;
        let mut open: Option<SegmentFile> = None;
        for (count, what) in cuts {
            let data = bytes(at, count);
            let mut rest = data.as_slice();
            while !rest.is_empty() {
                let current = Segment::containing(Timeline::FIRST, at, size);
                let file = match &mut open {
                    Some(file) => file,
                    None => {
                        let opened = SegmentFile::open(&directory.0, current, size, None);
                        open.insert(opened.unwrap())
                    }
                };
                let taken = file.append(at, rest).unwrap();
                at = at.advance(taken as u64);
                rest = &rest[taken..];
                if file.is_full() {
                    let (proof, next) = file.complete(None).unwrap();
                    prop_assert!(proof.get() == at && next.is_none());
                    durable = at;
                    open = None;
                }
            }
            match (what, &mut open) {
                (0, Some(_)) => { // the process dies
                    open = None;
                    at = Lsn(at.0 / MIB * MIB);
                }
                (1, Some(file)) => (at, _) = file.rewind(None),
                (2, Some(file)) => {
                    file.failed = true;
                    file.start_over().unwrap();
                    (at, _) = file.rewind(None);
                }
                (3 | 4, Some(file)) => {
                    let proof = file.sync().unwrap().get();
                    prop_assert!(proof <= at.max(durable));
                    durable = durable.max(proof);
                }
                _ => {}
            }
        }
        for name in directory.names() {
            let (plain, partial) = match name.strip_suffix(".partial") {
                Some(plain) => (plain, true),
                None => (name.as_str(), false),
            };
            if name.starts_with('.') {
                continue;
            }
            let start = Segment::parse(plain, size).unwrap().start(size);
            let content = fs::read(directory.0.join(&name)).unwrap();
            let length = content.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
            prop_assert!(content[..length] == bytes(start, length as u64));
            prop_assert!(partial || content.len() == length);
            prop_assert!(!partial || start.advance(length as u64) >= durable);
        }
    }
}

#[test]
fn a_symbolic_link_instead_of_the_partial_file_is_not_followed() {
    let directory = Directory::new("seg-link");
    let key = directory.0.join("master.key");
    fs::write(&key, b"secret").unwrap();
    let path = directory.0.join("000000010000000000000003.partial");
    std::os::unix::fs::symlink(&key, &path).unwrap();
    let opened = SegmentFile::open(&directory.0, segment(1, 3), small(), None);
    assert!(opened.is_err());
    assert_eq!(fs::read(&key).unwrap(), b"secret");
}
