//! WAL.

use std::ops::ControlFlow;

use crate::format::wal::synthetic::{MIB, PAGE, Writer, size};
use crate::format::wal::{Decoder, Event, InvalidRecord, PageHeader, Record, first_record};
use crate::unit::{Lsn, SegmentSize, first, to_u64, to_usize};

/// More is longer than a run may take.
const MAX_INPUT: usize = 128 << 10;

/// The first byte tells whether the others are pages, or commands that make valid WAL.
pub fn wal(input: &[u8]) {
    match input.split_first() {
        Some((b'P', bytes)) if bytes.len() <= MAX_INPUT => pages(bytes),
        Some((b'R', bytes)) if bytes.len() <= MAX_INPUT => records(bytes),
        _ => {}
    }
}

/// Start, end, resource manager, info and event of a record.
type Found = (Lsn, Lsn, u8, u8, Result<Event, String>);

fn found(record: &Record<'_>) -> Found {
    let header = &record.header;
    (
        record.start,
        record.end,
        header.manager,
        header.info,
        Event::decode(record),
    )
}

/// The result of decoding: the records, why it ended, and where.
type Decoded = (Vec<Found>, Option<InvalidRecord>, Lsn);

/// Decodes WAL from the record at `first` on, in pieces of `piece` bytes.
fn decode(bytes: &[u8], (begin, first): (Lsn, Lsn), size: SegmentSize, piece: usize) -> Decoded {
    let mut decoder = Decoder::new(first, size, None);
    let mut all = Vec::new();
    let mut address = begin;
    for part in bytes.chunks(piece) {
        let fed = decoder.feed(address, part, &mut |record| {
            all.push(found(record));
            ControlFlow::Continue(())
        });
        if let Err(invalid) = fed {
            return (all, Some(invalid), decoder.position());
        }
        address = address.advance(to_u64(part.len()));
    }
    (all, None, decoder.position())
}

fn check(all: &[Found], position: Lsn) {
    let mut end = Lsn::ZERO;
    for (start, after, ..) in all {
        assert!(
            end <= *start && start < after,
            "{start} to {after}, after {end}"
        );
        end = *after;
    }
    assert!(end <= position, "the position {position} is before {end}");
}

fn pages(bytes: &[u8]) {
    let mut rest = bytes;
    let offset = first_record(&mut rest).ok().flatten().unwrap_or(0);
    assert!(
        offset < to_u64(bytes.len()) + 65536,
        "{offset} is after the end"
    );
    let header = PageHeader::parse(bytes).ok();
    let long = header.and_then(|header| header.long);
    let size = long.and_then(|long| SegmentSize::new(long.segment_size.into()).ok());
    let (Some(header), Some(long), Some(size)) = (header, long, size) else {
        return;
    };
    let begin = header.address;
    if size.offset(begin) != 0 || begin.0 > u64::MAX / 2 {
        return;
    }
    let start = (begin, begin.advance(offset));
    let whole = decode(bytes, start, size, bytes.len());
    check(&whole.0, whole.2);
    let page = to_usize(long.page_size.into());
    if page.is_power_of_two() && (1024..=65536).contains(&page) {
        assert_eq!(decode(bytes, start, size, page), whole, "page by page");
    }
}

/// Each command is a resource manager, info, a length of two bytes, and as many bytes of a record.
fn records(mut commands: &[u8]) {
    let mut writer = Writer::new();
    let mut expected = Vec::new();
    while let Some((&[manager, info, high, low], rest)) = commands.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low])) % (3 * PAGE);
        let body = first(rest, length.min(rest.len()));
        commands = rest.get(body.len()..).unwrap_or_default();
        let start = writer.record(manager, info, body);
        expected.push((start, manager, info));
        // XLOG_SWITCH: the rest of the segment is unused.
        if (manager, info & 0xf0) == (0, 0x40) || writer.bytes.len() + 4 * PAGE > MIB {
            break;
        }
    }
    let mut bytes = writer.bytes;
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    let begin = Lsn(to_u64(MIB));
    let (all, _, position) = decode(&bytes, (begin, begin), size(), PAGE);
    check(&all, position);
    let starts: Vec<_> = all.iter().map(|one| (one.0, one.2, one.3)).collect();
    assert_eq!(starts, expected, "every record is found");
}
