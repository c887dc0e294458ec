//! Reads WAL record by record, across the segments of a timeline path.

use std::ops::ControlFlow;

use super::segments::OpenedSegment;
use super::{SegmentFile, Segments};
use crate::error::Result;
use crate::format::TimelineHistory;
use crate::format::wal::{Decoder, Event, InvalidRecord, Record};
use crate::sys::Stop;
use crate::unit::{Lsn, Segment, Timeline, read_full, to_u64};

/// Bytes decoded per call; a multiple of every WAL page size.
const CHUNK: usize = 256 << 10;

/// Reads WAL along a timeline path: one timeline and its ancestors, each up to its switch point.
pub struct WalReader<'a> {
    /// The segments of the archive and of the backup.
    pub segments: &'a Segments,
    /// The timeline path, as the history of its last timeline.
    pub history: &'a TimelineHistory,
    /// The system identifier that the WAL must have; `None` accepts any.
    pub system_identifier: Option<u64>,
    /// Whether damage in the file that PostgreSQL would read of a segment ends the read, also where
    /// the file of another timeline has the same WAL.
    pub strict: bool,
    /// Cancels the read with an error.
    pub stop: &'a Stop,
}

/// How far the WAL could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadResult {
    /// The end of the last valid record; the start of the read if there is none.
    pub end: Lsn,
    /// The start of that record.
    pub last: Option<Lsn>,
    /// Why the read went no further.
    pub stopped: Stopped,
    /// The files that were read, one per segment, from the segment of the start on.
    pub files: Vec<SegmentFile>,
}

/// Why a read ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The record handler returned `Break`.
    ByCaller,
    /// No more WAL was received: the next segment, or the one that is being received.
    EndOfWal(Segment),
    /// Segments are missing, from the first to the last of these, and later ones exist.
    Missing(Segment, Segment),
    /// There is more WAL, but it is damaged: the file, and the reason.
    Damaged(String, String),
}

/// Called for each record; `Break` ends the read.
pub type RecordHandler<'f> = &'f mut dyn FnMut(&Record<'_>, Event) -> ControlFlow<()>;

/// The outcome of reading one file.
enum FileRead {
    /// The file was read to its end.
    Complete,
    StoppedByCaller,
    /// The timeline path leaves the timeline of the file.
    TimelineEnded,
    Invalid(InvalidRecord, Option<Lsn>),
    Damaged(String),
}

/// The last record that was passed to the handler.
struct Delivered {
    end: Lsn,
    /// Its start; `None` before the first record.
    last: Option<Lsn>,
}

/// A segment of which no file could be read to its end.
#[derive(Default)]
struct Incomplete {
    /// The file that could be read furthest.
    furthest: Option<SegmentFile>,
    /// The path and the error of the file that recovery would read first.
    first_error: Option<(String, String)>,
    /// Whether that error is damage, rather than the end of what was received.
    first_is_damaged: bool,
    /// The path and the damage of the furthest file.
    furthest_error: Option<(String, String)>,
}

/// The outcome of reading one segment.
enum SegmentRead {
    Complete(SegmentFile, Decoder),
    StoppedByCaller(SegmentFile),
    Incomplete(Incomplete),
}

impl WalReader<'_> {
    /// As [`WalReader::read`], at most `bytes` and the rest of the record at their end.
    pub fn read_at_most(&self, from: Lsn, bytes: u64) -> Result<ReadResult> {
        self.read(
            from,
            &mut |record, _| match record.end.since(from) < bytes {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            },
        )
    }

    /// Reads from `from`, where a record begins, and passes each record to `on_record` until that
    /// breaks or WAL ends. Of a segment that several timelines share, the file that can be read
    /// furthest is used. Fails only for reasons other than the WAL, such as a stop of the daemon.
    pub fn read(&self, from: Lsn, on_record: RecordHandler<'_>) -> Result<ReadResult> {
        let size = self.segments.size();
        let mut decoder = Decoder::new(from, size, self.system_identifier);
        let mut buffer = vec![0; CHUNK];
        let mut number = from.0 / size.bytes();
        let mut files = Vec::new();
        let mut delivered = Delivered {
            end: from,
            last: None,
        };
        let stopped = loop {
            match self.read_segment(decoder, number, &mut buffer, &mut delivered, on_record)? {
                SegmentRead::Complete(file, after) => {
                    files.push(file);
                    decoder = after;
                    number = number.saturating_add(1);
                }
                SegmentRead::StoppedByCaller(file) => {
                    files.push(file);
                    break Stopped::ByCaller;
                }
                SegmentRead::Incomplete(incomplete) => {
                    files.extend(incomplete.furthest);
                    break self.stop_reason(number, incomplete);
                }
            }
        };
        Ok(ReadResult {
            end: delivered.end,
            last: delivered.last,
            stopped,
            files,
        })
    }

    /// Reads one segment: tries its files in order until one is complete.
    fn read_segment(
        &self,
        decoder: Decoder,
        number: u64,
        buffer: &mut [u8],
        delivered: &mut Delivered,
        on_record: RecordHandler<'_>,
    ) -> Result<SegmentRead> {
        let first = self.segments.segment_on_path(self.history, number);
        let files = self.segments.files(self.history, number);
        let mut incomplete = Incomplete::default();
        let mut decoder = Some(decoder);
        for (index, file) in files.iter().enumerate() {
            let more = index + 1 < files.len();
            let begin = if more {
                decoder.clone()
            } else {
                decoder.take()
            };
            let Some(mut decoder) = begin else { break };
            let before = delivered.end;
            let mut path = file.segment.name(self.segments.size());
            let fed = match self.segments.open(*file) {
                Ok(Some(opened)) => {
                    path = opened.path.display().to_string();
                    self.read_file(&mut decoder, file, opened, buffer, delivered, on_record)?
                }
                Ok(None) => continue,
                Err(failure) => FileRead::Damaged(failure.to_string()),
            };
            let (damaged, why) = match fed {
                FileRead::Complete => return Ok(SegmentRead::Complete(*file, decoder)),
                FileRead::StoppedByCaller => return Ok(SegmentRead::StoppedByCaller(*file)),
                FileRead::TimelineEnded => (false, "it belongs to another timeline".to_owned()),
                FileRead::Damaged(why) => (true, why),
                FileRead::Invalid(invalid, written) => (
                    is_damage(&invalid, written),
                    format!("the record at {}: {}", invalid.at, invalid.reason),
                ),
            };
            if incomplete.first_error.is_none() && file.segment == first {
                incomplete.first_error = Some((path.clone(), why.clone()));
                incomplete.first_is_damaged = damaged;
            }
            if incomplete.furthest.is_none() || delivered.end > before {
                incomplete.furthest = Some(*file);
                incomplete.furthest_error = damaged.then_some((path, why));
            }
            if damaged && self.strict {
                break;
            }
        }
        Ok(SegmentRead::Incomplete(incomplete))
    }

    /// Why the read ends in an incomplete segment.
    fn stop_reason(&self, number: u64, incomplete: Incomplete) -> Stopped {
        let first = self.segments.segment_on_path(self.history, number);
        let next = self.segments.next_available(self.history, number);
        if let Some((path, why)) = incomplete.furthest_error {
            return Stopped::Damaged(path, why);
        }
        match (incomplete.first_error, next) {
            (Some((path, why)), next) if incomplete.first_is_damaged || next.is_some() => {
                Stopped::Damaged(path, why)
            }
            (Some(_), _) | (None, None) => Stopped::EndOfWal(first),
            (None, Some(next)) => {
                let last = next.number.saturating_sub(1);
                Stopped::Missing(first, self.segments.segment_on_path(self.history, last))
            }
        }
    }

    /// Where a timeline begins; `None` if that is not known.
    fn begin_of(&self, timeline: Timeline) -> Option<Lsn> {
        let begin = self.history.begin_of(timeline);
        begin.filter(|begin| *begin > Lsn::ZERO || timeline == Timeline::FIRST)
    }

    fn read_file(
        &self,
        decoder: &mut Decoder,
        file: &SegmentFile,
        mut opened: OpenedSegment,
        buffer: &mut [u8],
        delivered: &mut Delivered,
        on_record: RecordHandler<'_>,
    ) -> Result<FileRead> {
        let (mut address, end) = (
            file.segment.start(self.segments.size()),
            file.segment.end(self.segments.size()),
        );
        let timeline = file.segment.timeline;
        decoder.expect_timeline(timeline, self.begin_of(timeline));
        while address < end {
            self.stop.check()?;
            opened.pace(CHUNK, self.segments.size(), self.stop)?;
            let bytes = match read_full(&mut opened.source, buffer) {
                Ok(bytes) => bytes,
                Err(error) => return Ok(FileRead::Damaged(error.to_string())),
            };
            if bytes.is_empty() {
                return Ok(FileRead::Damaged("the segment is too short".to_owned()));
            }
            let mut outcome = None;
            let fed = decoder.feed(address, bytes, &mut |record| {
                let flow = delivered.deliver(record, file.until, on_record);
                flow.map_break(|why| outcome = Some(why))
            });
            match (outcome, fed) {
                (Some(why), _) => return Ok(why),
                (None, Err(invalid)) => {
                    return Ok(FileRead::Invalid(invalid, opened.written_until));
                }
                (None, Ok(_)) => {}
            }
            address = address.advance(to_u64(bytes.len()));
        }
        // Checks that nothing follows, and the authentication tag.
        if let Err(failure) = opened.finish() {
            return Ok(FileRead::Damaged(failure.to_string()));
        }
        Ok(if file.until < end {
            FileRead::TimelineEnded
        } else {
            FileRead::Complete
        })
    }
}

impl Delivered {
    /// Passes a record to the handler, unless it was read before from another file of its segment.
    /// Breaks where the timeline of the file ends.
    fn deliver(
        &mut self,
        record: &Record<'_>,
        until: Lsn,
        on_record: RecordHandler<'_>,
    ) -> ControlFlow<FileRead> {
        if record.end > until {
            return ControlFlow::Break(FileRead::TimelineEnded);
        }
        if record.start < self.end {
            return if record.end <= self.end {
                ControlFlow::Continue(())
            } else {
                // It differs from the record that was delivered.
                ControlFlow::Break(FileRead::TimelineEnded)
            };
        }
        let event = match Event::decode(record) {
            Ok(event) => event,
            Err(why) => return ControlFlow::Break(FileRead::Damaged(why)),
        };
        self.end = record.end;
        self.last = Some(record.start);
        on_record(record, event).map_break(|()| FileRead::StoppedByCaller)
    }
}

/// Whether WAL is invalid although more of it was written: where no more was received, only zeros
/// follow the incomplete page.
fn is_damage(invalid: &InvalidRecord, written: Option<Lsn>) -> bool {
    match written {
        Some(written) => written > invalid.page_end,
        None => !invalid.zeros,
    }
}
