//! Decodes synthetic WAL with cases that are rare on real servers. Integration tests decode real
//! WAL.
#![allow(clippy::cast_possible_truncation, clippy::type_complexity)]

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::synthetic::{MIB, PAGE, SYSTEM, Writer, main_data, size};
use super::{Decoder, Event, InvalidRecord};
use crate::unit::{Lsn, SegmentSize, Timeline};

fn decode(bytes: &[u8], from: Lsn) -> (Vec<(Lsn, Lsn, Event)>, Result<Lsn, InvalidRecord>) {
    let mut decoder = Decoder::new(from, size(), Some(SYSTEM));
    let mut decoded = Vec::new();
    for (index, chunk) in bytes.chunks(4 * PAGE).enumerate() {
        let address = Lsn((MIB + index * 4 * PAGE) as u64);
        let fed = decoder.feed(address, chunk, &mut |record| {
            decoded.push((record.start, record.end, Event::decode(record).unwrap()));
            ControlFlow::Continue(())
        });
        if let Err(invalid) = fed {
            return (decoded, Err(invalid));
        }
    }
    (decoded, Ok(decoder.position()))
}

#[test]
fn records_continue_over_pages_and_segments() {
    let mut writer = Writer::new();
    let mut starts = vec![writer.record(10, 0, &[1; 100])];
    let first = Lsn(MIB as u64 + 40);
    assert_eq!(starts[0], first);
    for length in [8000, 8168, 1, 0, 3 * MIB, 17, PAGE - 64, 5000] {
        starts.push(writer.record(10, 0, &vec![7; length]));
    }
    // The header of a record may continue on the next page too.
    starts.push(writer.record(10, 0, &[4; 6000]));
    let room = PAGE - writer.bytes.len() % PAGE;
    starts.push(writer.record(10, 0, &vec![9; room - 8 - 24]));
    assert_eq!(writer.bytes.len() % PAGE, PAGE - 8);
    starts.push(writer.record(10, 0, b"split"));
    let end = writer.position();
    let (decoded, result) = decode(&writer.segments(), first);
    assert_eq!(decoded.iter().map(|f| f.0).collect::<Vec<_>>(), starts);
    let invalid = result.unwrap_err();
    assert_eq!(invalid.at, end);
    assert_eq!(invalid.reason, "there is no record");
}

#[test]
fn a_segment_switch_skips_the_rest_of_its_segment() {
    let mut writer = Writer::new();
    let start = writer.record(10, 0, b"before");
    writer.record(0, 0x40, &[]);
    writer.bytes.resize(MIB, 0xEE);
    let after = writer.record(10, 0, b"after");
    let (decoded, _) = decode(&writer.segments(), start);
    assert_eq!(decoded[1].1, Lsn(2 * MIB as u64));
    assert_eq!(decoded[2].0, after);
}

#[test]
fn pages_must_be_of_the_timeline_of_their_segment() {
    let mut writer = Writer::new();
    let start = writer.record(10, 0, &[7; 3 * PAGE]);
    let switch = writer.position();
    writer.timeline = 2;
    writer.record(10, 0, &[7; 3 * PAGE]);
    let bytes = writer.segments();
    let next_page = Lsn(switch.0.next_multiple_of(PAGE as u64));
    for (line, begin, why) in [
        (2, Some(switch), None),
        (2, Some(next_page), None),
        (2, None, None),
        (
            1,
            Some(Lsn::ZERO),
            Some((next_page, "timeline 2, not of 1")),
        ),
        (3, None, None),
        (
            3,
            Some(next_page),
            Some((next_page, "timeline 2, not of 3")),
        ),
        (
            2,
            Some(start),
            Some((Lsn(start.0 - 40 + PAGE as u64), "timeline 1, not of 2")),
        ),
    ] {
        let mut decoder = Decoder::new(start, size(), Some(SYSTEM));
        decoder.expect_timeline(Timeline::new(line).unwrap(), begin);
        let fed = decoder.feed(Lsn(MIB as u64), &bytes, &mut |_| ControlFlow::Continue(()));
        let reason = fed.unwrap_err().reason;
        let expected = match why {
            Some((page, why)) => format!("the page at {page} is of {why}"),
            None => "there is no record".to_owned(),
        };
        assert_eq!(reason, expected, "{line} {begin:?}");
    }
}

#[test]
fn a_segment_switch_record_may_continue_on_the_next_page() {
    let mut writer = Writer::new();
    let start = writer.record(10, 0, &[4; 6000]);
    let room = PAGE - writer.bytes.len() % PAGE;
    writer.record(10, 0, &vec![9; room - 8 - 24]);
    assert_eq!(writer.bytes.len() % PAGE, PAGE - 8);
    writer.record(0, 0x40, &[]);
    writer.bytes.resize(MIB, 0);
    let after = writer.record(10, 0, b"after");
    let (decoded, _) = decode(&writer.segments(), start);
    assert_eq!(decoded[2].1, Lsn(2 * MIB as u64));
    assert_eq!(decoded[3].0, after);
}

#[test]
fn an_overwritten_contrecord_is_skipped() {
    let mut writer = Writer::new();
    let start = writer.record(10, 0, b"before");
    let before = writer.last;
    writer.record(10, 0, &vec![1; 20_000]);
    writer.bytes.truncate(PAGE);
    writer.last = before;
    let after = writer.record_with_flags(0, 0xD0, b"XLOG_OVERWRITE_CONTRECORD", 8);
    let (decoded, _) = decode(&writer.segments(), start);
    let decoded: Vec<_> = decoded.iter().map(|f| f.0).collect();
    assert_eq!(decoded, [start, after]);
}

/// PostgreSQL 19 moved the flag, and unknown versions may have more flags.
#[test]
fn an_overwritten_contrecord_is_skipped_in_later_versions() {
    for (magic, flags) in [(0xD118, 8), (0xD120, 4), (0xD130, 4), (0xD130, 0x14)] {
        let mut writer = Writer::new();
        writer.magic = magic;
        let start = writer.record(10, 0, b"before");
        let before = writer.last;
        writer.record(10, 0, &vec![1; 20_000]);
        writer.bytes.truncate(PAGE);
        writer.last = before;
        let after = writer.record_with_flags(0, 0xD0, b"XLOG_OVERWRITE_CONTRECORD", flags);
        let (decoded, _) = decode(&writer.segments(), start);
        let decoded: Vec<_> = decoded.iter().map(|f| f.0).collect();
        assert_eq!(decoded, [start, after], "{magic:X}");
    }
    let mut writer = Writer::new();
    writer.magic = 0xD120;
    let start = writer.record_with_flags(10, 0, b"before", 8);
    assert_eq!(decode(&writer.segments(), start).0.len(), 0, "no such flag");
}

#[test]
fn records_of_an_unknown_version_are_not_decoded() {
    let time = 7i64;
    for (magic, known) in [
        (0xD118, true),
        (0xD120, true),
        (0xD121, false),
        (0xD234, false),
    ] {
        let mut writer = Writer::new();
        writer.magic = magic;
        let start = writer.record(1, 0, &main_data(&time.to_le_bytes()));
        writer.record(10, 0, b"heap");
        let mut checkpoint = vec![0; if magic >= 0xD120 { 72 } else { 64 }];
        checkpoint[..8].copy_from_slice(&0x1_0000_0028u64.to_le_bytes());
        checkpoint.extend(1_800_000_000i64.to_le_bytes());
        writer.record(0, 0x10, &main_data(&checkpoint));
        let end = writer.position();
        let (decoded, result) = decode(&writer.segments(), start);
        let events: Vec<_> = decoded.into_iter().map(|decoded| decoded.2).collect();
        let unknown = Event::UnknownVersion { magic };
        let expected = if known {
            [
                Event::Commit {
                    xid: 700,
                    time: 946_684_800_000_007,
                },
                Event::Other,
                Event::Checkpoint {
                    redo: Lsn(0x1_0000_0028),
                    time: 1_800_000_000_000_000,
                },
            ]
        } else {
            [unknown.clone(), Event::Other, unknown]
        };
        assert_eq!(events, expected, "{magic:X}");
        assert_eq!(result.unwrap_err().at, end, "{magic:X}");
    }
}

#[test]
fn a_changed_byte_ends_valid_wal_at_its_record() {
    let mut writer = Writer::new();
    let start = writer.record(10, 0, &[1; 100]);
    let second = writer.record(10, 0, &[2; 100]);
    writer.record(10, 0, &[3; 100]);
    let good = writer.segments();
    let (decoded, _) = decode(&good, start);
    assert_eq!(decoded.len(), 3);
    for offset in 0..124 {
        let mut bad = good.clone();
        bad[(second.0 as usize - MIB) + offset] ^= 0x10;
        let (decoded, result) = decode(&bad, start);
        // Two bytes of padding are part of the checksum as well.
        assert_eq!(decoded.len(), 1, "byte {offset}");
        assert_eq!(result.unwrap_err().at, second, "byte {offset}");
    }
}

#[test]
fn a_page_of_another_version_of_postgresql_ends_valid_wal() {
    let mut writer = Writer::new();
    let start = writer.record(10, 0, &[1; 100]);
    let long = writer.record(10, 0, &[2; 3 * PAGE]);
    let mut bytes = writer.segments();
    bytes[2 * PAGE] ^= 1;
    let (decoded, result) = decode(&bytes, start);
    assert_eq!(decoded.len(), 1);
    let invalid = result.unwrap_err();
    assert_eq!(invalid.at, long);
    let reason = "the page at 0/104000 has the magic D117 after D116";
    assert_eq!(invalid.reason, reason);
}

#[test]
fn another_cluster_or_segment_size_is_refused() {
    let mut writer = Writer::new();
    let start = writer.record(10, 0, b"x");
    let bytes = writer.segments();
    let feed = |size, system| {
        let mut decoder = Decoder::new(start, size, Some(system));
        decoder.feed(Lsn(MIB as u64), &bytes, &mut |_| ControlFlow::Continue(()))
    };
    let why = |result: Result<ControlFlow<()>, InvalidRecord>| result.unwrap_err().reason;
    assert!(why(feed(size(), 1)).contains("belongs to the system 7000000000000000001"));
    let other = SegmentSize::new(2 << 20).unwrap();
    let mut decoder = Decoder::new(Lsn(2 << 20), other, None);
    let fed = decoder.feed(Lsn(2 << 20), &bytes, &mut |_| ControlFlow::Continue(()));
    assert!(why(fed).contains("one of 1048576 bytes"));
}

#[test]
fn the_xid_of_a_prepared_transaction_is_decoded_after_all_optional_parts() {
    let time = 5_000_000i64;
    let mut data = time.to_le_bytes().to_vec();
    data.extend(0x1FFu32.to_le_bytes()); // all flags
    data.extend([0; 8]);
    for (count, item) in [(3u32, 4usize), (2, 12), (2, 12), (1, 16)] {
        data.extend(count.to_le_bytes());
        data.resize(data.len() + count as usize * item, 0xAB);
    }
    data.extend(4242u32.to_le_bytes());
    let mut writer = Writer::new();
    let start = writer.record(1, 0x30 | 0x80, &main_data(&data));
    writer.record(
        1,
        0x20,
        &[&[253, 1, 0][..], &main_data(&time.to_le_bytes())].concat(),
    );
    let (decoded, _) = decode(&writer.segments(), start);
    let time = 946_684_805_000_000;
    assert_eq!(decoded[0].2, Event::Commit { xid: 4242, time });
    assert_eq!(decoded[1].2, Event::Abort { xid: 700, time });
}

#[test]
fn a_tablespace_is_created_at_a_path_or_in_place() {
    let mut writer = Writer::new();
    let at = |path: &[u8]| main_data(&[&16400u32.to_le_bytes()[..], path, b"\0"].concat());
    let start = writer.record(5, 0, &at(b"/fast/\xFF"));
    writer.record(5, 0, &at(b""));
    writer.record(5, 0x10, &main_data(&16400u32.to_le_bytes()));
    let (decoded, _) = decode(&writer.segments(), start);
    let created = |path: &[u8]| Event::CreateTablespace {
        oid: 16400,
        path: path.to_vec(),
    };
    let events: Vec<_> = decoded.into_iter().map(|decoded| decoded.2).collect();
    assert_eq!(events, [created(b"/fast/\xFF"), created(b""), Event::Other]);
}

#[test]
fn a_commit_longer_than_the_buffer_still_has_its_time() {
    let mut data = 0i64.to_le_bytes().to_vec();
    data.resize(20 << 20, 0);
    let mut writer = Writer::new();
    let start = writer.record(1, 0x80, &main_data(&data));
    let (decoded, _) = decode(&writer.segments(), start);
    let time = 946_684_800_000_000;
    assert_eq!(decoded[0].2, Event::Commit { xid: 700, time });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn decoding_changed_wal_never_panics(
        changes in proptest::collection::vec((0usize..MIB, any::<u8>()), 1..40),
        lengths in proptest::collection::vec(0usize..20_000, 1..30),
        from in 0u64..100_000,
    ) {
        let mut writer = Writer::new();
        for (index, length) in lengths.iter().enumerate() {
            let info = if index % 2 == 0 { 0xB0 } else { 0x20 };
            writer.record((index % 2) as u8, info, &main_data(&vec![index as u8; *length]));
        }
        let mut bytes = writer.segments();
        for (at, value) in changes {
            bytes[at] = value;
        }
        let mut decoder = Decoder::new(Lsn(MIB as u64 + from), size(), None);
        let _ = decoder.feed(Lsn(MIB as u64), &bytes, &mut |record| {
            let _ = Event::decode(record);
            ControlFlow::Continue(())
        });
    }

    #[test]
    fn decoding_random_bytes_never_panics(
        bytes in proptest::collection::vec(any::<u8>(), PAGE..3 * PAGE),
    ) {
        let mut decoder = Decoder::new(Lsn(MIB as u64), size(), None);
        let _ = decoder.feed(Lsn(MIB as u64), &bytes, &mut |_| ControlFlow::Continue(()));
    }
}
