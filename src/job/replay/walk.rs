//! From one record to the next, over all segments of a way.

use std::io::Read;
use std::ops::ControlFlow;

use super::segments::Opened;
use super::{Segments, WayFile};
use crate::error::Result;
use crate::format::TimelineHistory;
use crate::format::wal::{Decoder, Event, Invalid, Record};
use crate::sys::Stop;
use crate::unit::{Lsn, Segment};

/// How many bytes are decoded at once; a multiple of every size of a WAL page.
const CHUNK: usize = 256 << 10;

/// Reads WAL along a way of timelines.
pub struct Walk<'a> {
    /// Where the WAL is.
    pub segments: &'a Segments,
    /// The way.
    pub history: &'a TimelineHistory,
    /// The cluster that the WAL must be of, if that is known.
    pub system_identifier: Option<u64>,
    /// Ends the walk.
    pub stop: &'a Stop,
}

/// How far a walk came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The end of the last record that is whole and right; the beginning of the walk if there is none.
    pub end: Lsn,
    /// Where that record begins.
    pub last: Option<Lsn>,
    /// Why it went no further.
    pub ending: Ending,
    /// The files that it was read from, one for each segment from that of the beginning on.
    pub files: Vec<WayFile>,
}

/// Why a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It had seen what it looked for.
    Told,
    /// Nothing more was received: this is the segment that would be next, or the one that is being received.
    Received(Segment),
    /// Segments are missing, from the first to the last of these, and there are more behind.
    Missing(Segment, Segment),
    /// There is more, but it is damaged: in which file, and how.
    Damaged(String, String),
}

/// What is done with each record.
pub type Found<'f> = &'f mut dyn FnMut(&Record<'_>, Event) -> ControlFlow<()>;

/// What became of one file.
enum Fed {
    /// It was read to its end.
    All,
    Told,
    /// The way leaves its timeline there.
    Left,
    Invalid(Invalid, Option<Lsn>),
    Damaged(String),
}

/// What was handed out so far.
struct Seen {
    /// The end of the last record.
    end: Lsn,
    /// Where it begins.
    last: Option<Lsn>,
}

/// A segment of which no file was read to its end.
#[derive(Default)]
struct Stuck {
    /// The file that had most of it.
    best: Option<WayFile>,
    /// Of the file where recovery looks first: what is wrong with it.
    first: Option<(String, String)>,
    /// Whether that is damage, or no more was received.
    damaged: bool,
    /// What damages the one that had most.
    wrong: Option<(String, String)>,
}

/// The outcome of one segment.
enum Step {
    Next(WayFile, Decoder),
    Told(WayFile),
    Stuck(Stuck),
}

impl Walk<'_> {
    /// Reads from `from`, where a record begins, and hands out each record until `found` breaks or WAL ends. Where a
    /// segment is in more than one file, since timelines part in it, the one that reaches furthest counts. Fails only for
    /// reasons that lie outside of the WAL.
    pub fn run(&self, from: Lsn, found: Found<'_>) -> Result<Walked> {
        let size = self.segments.size();
        let mut decoder = Decoder::new(from, size, self.system_identifier);
        let mut buffer = vec![0; CHUNK];
        let mut number = from.0 / size.bytes();
        let mut files = Vec::new();
        let mut seen = Seen {
            end: from,
            last: None,
        };
        let ending = loop {
            match self.step(decoder, number, &mut buffer, &mut seen, found)? {
                Step::Next(file, after) => {
                    files.push(file);
                    decoder = after;
                    number = number.saturating_add(1);
                }
                Step::Told(file) => {
                    files.push(file);
                    break Ending::Told;
                }
                Step::Stuck(stuck) => {
                    files.extend(stuck.best);
                    break self.ending(number, stuck);
                }
            }
        };
        Ok(Walked {
            end: seen.end,
            last: seen.last,
            ending,
            files,
        })
    }

    /// Reads one segment, from one file after the other until one is whole.
    fn step(
        &self,
        decoder: Decoder,
        number: u64,
        buffer: &mut [u8],
        seen: &mut Seen,
        found: Found<'_>,
    ) -> Result<Step> {
        let first = self.segments.on_way(self.history, number);
        let files = self.segments.files(self.history, number);
        let mut stuck = Stuck::default();
        let mut decoder = Some(decoder);
        for (index, file) in files.iter().enumerate() {
            let more = index + 1 < files.len();
            let begin = if more {
                decoder.clone()
            } else {
                decoder.take()
            };
            let Some(mut decoder) = begin else { break };
            let before = seen.end;
            let mut path = file.segment.name(self.segments.size());
            let fed = match self.segments.open(*file) {
                Ok(Some(opened)) => {
                    path = opened.path.display().to_string();
                    self.file(&mut decoder, file, opened, buffer, seen, found)?
                }
                Ok(None) => continue,
                Err(failure) => Fed::Damaged(failure.to_string()),
            };
            let (damaged, why) = match fed {
                Fed::All => return Ok(Step::Next(*file, decoder)),
                Fed::Told => return Ok(Step::Told(*file)),
                Fed::Left => (false, "it belongs to another timeline".to_owned()),
                Fed::Damaged(why) => (true, why),
                Fed::Invalid(invalid, written) => (
                    is_damage(&invalid, written),
                    format!("the record at {}: {}", invalid.at, invalid.why),
                ),
            };
            if stuck.first.is_none() && file.segment == first {
                stuck.first = Some((path.clone(), why.clone()));
                stuck.damaged = damaged;
            }
            if stuck.best.is_none() || seen.end > before {
                stuck.best = Some(*file);
                stuck.wrong = damaged.then_some((path, why));
            }
        }
        Ok(Step::Stuck(stuck))
    }

    /// Why a walk went no further than that segment.
    fn ending(&self, number: u64, stuck: Stuck) -> Ending {
        let first = self.segments.on_way(self.history, number);
        let next = self.segments.next(self.history, number);
        if let Some((path, why)) = stuck.wrong {
            return Ending::Damaged(path, why);
        }
        match (stuck.first, next) {
            (Some((path, why)), next) if stuck.damaged || next.is_some() => {
                Ending::Damaged(path, why)
            }
            (Some(_), _) | (None, None) => Ending::Received(first),
            (None, Some(next)) => {
                let last = next.number.saturating_sub(1);
                Ending::Missing(first, self.segments.on_way(self.history, last))
            }
        }
    }

    fn file(
        &self,
        decoder: &mut Decoder,
        file: &WayFile,
        mut opened: Opened,
        buffer: &mut [u8],
        seen: &mut Seen,
        found: Found<'_>,
    ) -> Result<Fed> {
        let (mut address, end) = (
            file.segment.start(self.segments.size()),
            file.segment.end(self.segments.size()),
        );
        while address < end {
            self.stop.check()?;
            let length = match fill(&mut opened.source, buffer) {
                Ok(length) => length,
                Err(error) => return Ok(Fed::Damaged(error.to_string())),
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(Fed::Damaged("the segment is too short".to_owned()));
            }
            let mut told = None;
            let fed = decoder.feed(address, bytes, &mut |record| {
                let flow = seen.take(record, file.until, found);
                flow.map_break(|why| told = Some(why))
            });
            match (told, fed) {
                (Some(why), _) => return Ok(why),
                (None, Err(invalid)) => return Ok(Fed::Invalid(invalid, opened.written)),
                (None, Ok(_)) => {}
            }
            address = address.advance(u64::try_from(length).unwrap_or(u64::MAX));
        }
        // That nothing follows, and the tag of what was encrypted.
        if let Err(failure) = opened.finish() {
            return Ok(Fed::Damaged(failure.to_string()));
        }
        Ok(if file.until < end {
            Fed::Left
        } else {
            Fed::All
        })
    }
}

impl Seen {
    /// Hands out a record, unless it was found before in another file of its segment. Breaks where the file is left.
    fn take(&mut self, record: &Record<'_>, until: Lsn, found: Found<'_>) -> ControlFlow<Fed> {
        if record.end > until {
            return ControlFlow::Break(Fed::Left);
        }
        if record.start < self.end {
            return if record.end <= self.end {
                ControlFlow::Continue(())
            } else {
                // Another record than the one that was handed out.
                ControlFlow::Break(Fed::Left)
            };
        }
        let event = match Event::of(record) {
            Ok(event) => event,
            Err(why) => return ControlFlow::Break(Fed::Damaged(why)),
        };
        self.end = record.end;
        self.last = Some(record.start);
        found(record, event).map_break(|()| Fed::Told)
    }
}

/// Whether WAL ends although more of it was written. Where it ends because no more was received there is nothing behind
/// the page that is not complete.
fn is_damage(invalid: &Invalid, written: Option<Lsn>) -> bool {
    match written {
        Some(written) => written > invalid.page_end,
        None => !invalid.nothing,
    }
}

/// Fills the buffer, unless the source ends before.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
