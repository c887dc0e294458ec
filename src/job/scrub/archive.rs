//! Reads the archived WAL, from the start of the oldest backup to its end on each timeline.

use std::path::Path;
use std::sync::Arc;

use super::beginning::Beginning;
use super::damage::Damage;
use crate::crypto::MasterKey;
use crate::error::{Error, ErrorKind, Result};
use crate::format::TimelineHistory;
use crate::job::pace::Pace;
use crate::job::replay::{FirstRecord, ReadResult, Segments, Stopped, WalReader};
use crate::repository::{
    Backup, BadWal, Histories, NextWal, Repository, WalDirectory, WalFindings,
};
use crate::status::Progress;
use crate::sys::Stop;
use crate::unit::{Lsn, Segment, SegmentSize, Timeline, WalPosition};

/// Parts of the reasons of [`crate::format::wal::Decoder`] that are about all of a record.
const SPREAD: [&str; 2] = ["its checksum does not match", "bytes of it remain"];

/// A verification of a WAL archive.
pub(super) struct ArchiveCheck<'a> {
    pub repository: &'a Repository,
    pub key: &'a Arc<MasterKey>,
    pub stop: &'a Stop,
    /// Limits the rate.
    pub pace: Option<Arc<Pace>>,
    pub progress: &'a Progress,
    /// Saves the result so far, after as many bytes of WAL.
    pub save_interval: u64,
    pub save: &'a dyn Fn(&WalFindings) -> Result<()>,
}

/// WAL that is missing, as text: the file, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MissingWal {
    pub file: String,
    pub reason: String,
}

impl MissingWal {
    /// The segments from the first to the last one.
    pub(super) fn new(first: Segment, last: Segment, size: SegmentSize) -> MissingWal {
        let reason = match first == last {
            true => "it is missing".to_owned(),
            false => format!("it is missing, and so are those up to {}", last.name(size)),
        };
        MissingWal {
            file: first.name(size),
            reason,
        }
    }
}

/// A verification that is running.
struct Work<'a> {
    check: &'a ArchiveCheck<'a>,
    archive: WalDirectory,
    segments: Segments,
    /// The valid ones, oldest first.
    backups: Vec<Backup>,
    system_identifier: Option<u64>,
    findings: &'a mut WalFindings,
    missing: Vec<MissingWal>,
    /// The first of the damaged segments at the end of the findings, what is wrong with it, and
    /// where the good WAL before it ends.
    last_damage: Option<(Segment, String, Lsn)>,
}

/// A timeline, and where the WAL begins that is needed of it.
struct TimelineWal {
    history: TimelineHistory,
    start: Lsn,
    /// Where the oldest backup begins that needs it; before `start` if that is where the timeline
    /// begins.
    needed: Lsn,
}

impl ArchiveCheck<'_> {
    /// Reads what is not in `findings` yet, and adds to them: all if they are empty. Returns the
    /// WAL that is missing in what was read.
    pub(super) fn run(&self, findings: &mut WalFindings) -> Result<Vec<MissingWal>> {
        let backups = self.backups()?;
        let Some(first) = backups.first() else {
            return Ok(Vec::new());
        };
        let archive = self.repository.wal_for_backup(first, self.key)?;
        let bound = self.repository.system()?;
        let bound = bound.map(|system| system.system_identifier);
        let mut work = Work {
            check: self,
            segments: self.segments(&archive)?,
            system_identifier: bound.or(first.info.system_identifier),
            archive,
            backups,
            findings,
            missing: Vec::new(),
            last_damage: None,
        };
        for timeline in work.timelines()? {
            work.read_timeline(&timeline)?;
        }
        Ok(work.missing)
    }

    /// The valid backups, oldest first: WAL is needed from them on.
    pub(super) fn backups(&self) -> Result<Vec<Backup>> {
        let mut backups = self.repository.backups()?;
        backups.retain(|backup| backup.info.valid && backup.info.start.lsn != Lsn::ZERO);
        Ok(backups)
    }

    fn segments(&self, archive: &WalDirectory) -> Result<Segments> {
        let segments = Segments::new(archive.clone(), self.key.clone())?;
        Ok(segments.with_pace(self.pace.clone()))
    }
}

impl Work<'_> {
    /// The timelines with WAL that a backup needs. A damaged or missing history file is reported.
    fn timelines(&mut self) -> Result<Vec<TimelineWal>> {
        let mut found = Vec::new();
        let histories = self.archive.histories()?;
        for timeline in self.segments.timelines() {
            let history = self.history(&histories, timeline);
            found.extend(self.start(&history).map(|(start, needed)| TimelineWal {
                history,
                start,
                needed,
            }));
        }
        Ok(found)
    }

    fn history(&mut self, histories: &Histories, timeline: Timeline) -> TimelineHistory {
        let reason = match histories.get(timeline) {
            Ok(history) => return history,
            Err(reason) => reason,
        };
        let file = timeline.history_name();
        let path = self.archive.path().join(&file);
        let problem = format!(
            "{}: {reason}: it is not known from which WAL timeline {timeline} goes on",
            path.display()
        );
        if !self.findings.bad.iter().any(|bad| bad.file == file) {
            log::error!("{problem}");
            self.findings.bad.push(BadWal {
                from: timeline.at(Lsn::ZERO),
                to: Lsn::ZERO,
                file,
                problem,
            });
        }
        TimelineHistory::without_ancestors(timeline)
    }

    /// Where the WAL of the last timeline of a history begins that a backup needs: where the
    /// timeline begins, or where the oldest backup on it does; and where the oldest backup begins.
    /// A backup that keeps only the WAL that is stored with it needs none.
    fn start(&self, history: &TimelineHistory) -> Option<(Lsn, Lsn)> {
        let (timeline, size) = (history.timeline(), self.segments.size());
        let starts = self.backups.iter().map(|backup| backup.info.start);
        let starts = starts.filter(|start| {
            let segment = Segment::containing(start.timeline, start.lsn, size);
            !self.segments.is_pruned(segment)
        });
        let starts: Vec<WalPosition> = starts.collect();
        let ancestors = starts.iter().filter(|start| {
            let left = history.end_of(start.timeline);
            start.timeline < timeline && left.is_some_and(|left| start.lsn <= left)
        });
        if let Some(oldest) = ancestors.map(|start| start.lsn).min() {
            return history.begin_of(timeline).map(|begin| (begin, oldest));
        }
        let own = starts.iter().filter(|start| start.timeline == timeline);
        let oldest = own.map(|start| start.lsn).min()?;
        Some((oldest, oldest))
    }

    fn read_timeline(&mut self, wal: &TimelineWal) -> Result<()> {
        let (history, timeline) = (&wal.history, wal.history.timeline());
        // An older backup needs WAL that was not read.
        let first = self.findings.of(timeline).next();
        if first.is_some_and(|first| first.from.lsn > wal.start) {
            self.findings.forget(timeline);
        }
        // Whether the segments were listed after the failure at hand.
        let mut listed_again = false;
        loop {
            self.check.stop.check()?;
            let mut begin = None;
            let (from, result) = match self.findings.next(timeline) {
                NextWal::Record(from) if from > wal.start => (from, self.read(history, from)?),
                NextWal::After(bad) if bad >= wal.start => match self.record_after(history, bad)? {
                    Some(from) => {
                        self.findings.begin(timeline.at(from));
                        (from, self.read(history, from)?)
                    }
                    None => return Ok(()),
                },
                NextWal::Start | NextWal::Record(_) | NextWal::After(_) => {
                    let (from, result) = self.read_beginning(wal)?;
                    let is_damaged = matches!(result.stopped, Stopped::Damaged(..));
                    let is_known = is_damaged || result.end >= wal.start;
                    begin = Some(if is_known { from } else { wal.start });
                    (wal.start, result)
                }
            };
            let failed = matches!(result.stopped, Stopped::Missing(..) | Stopped::Damaged(..));
            if failed && !listed_again {
                // A file may have been sealed or removed on purpose since the list was made.
                self.segments = self.check.segments(&self.archive)?;
                listed_again = true;
                continue;
            }
            if let Some(begin) = begin {
                self.findings.begin(timeline.at(begin));
            }
            listed_again = false;
            self.check.progress.advance(result.end.since(from));
            if let Stopped::Damaged(path, why) = &result.stopped {
                let end = self.add_damaged(history, result.end, (path, why));
                self.findings.extend(timeline, end);
                continue;
            }
            self.findings.extend(timeline, result.end);
            match result.stopped {
                Stopped::ByCaller => (self.check.save)(self.findings)?,
                Stopped::Missing(first, last) if self.skip_missing(history, (first, last))? => {}
                Stopped::EndOfWal(_) | Stopped::Missing(..) | Stopped::Damaged(..) => {
                    return Ok(());
                }
            }
        }
    }

    /// Reads from where a timeline begins, or the oldest backup on it. Returns from where it was
    /// read: a record before that.
    fn read_beginning(&self, wal: &TimelineWal) -> Result<(Lsn, ReadResult)> {
        let (history, start) = (&wal.history, wal.start);
        if history.begin_of(history.timeline()) != Some(start) || wal.needed >= start {
            return Ok((start, self.read(history, start)?));
        }
        let bad = |bad: &&BadWal| {
            let timeline = bad.from.timeline;
            timeline != history.timeline() && history.contains(timeline)
        };
        let beginning = Beginning {
            reader: self.reader(history),
            switch: start,
            needed: wal.needed,
            is_damaged: &|at| {
                let mut bad = self.findings.bad.iter().filter(bad);
                bad.any(|bad| bad.from.lsn <= at && at < bad.to)
            },
            interval: self.check.save_interval,
        };
        beginning.read()
    }

    fn read(&self, history: &TimelineHistory, from: Lsn) -> Result<ReadResult> {
        let interval = self.check.save_interval;
        self.reader(history).read_at_most(from, interval)
    }

    fn damage<'r>(&'r self, history: &'r TimelineHistory) -> Damage<'r> {
        Damage {
            backups: &self.backups,
            history,
            size: self.segments.size(),
        }
    }

    fn reader<'r>(&'r self, history: &'r TimelineHistory) -> WalReader<'r> {
        WalReader {
            segments: &self.segments,
            history,
            system_identifier: self.system_identifier,
            strict: true,
            stop: self.check.stop,
        }
    }

    /// Goes on after missing segments; `false` if no record follows. Those that were removed on
    /// purpose are not reported.
    fn skip_missing(
        &mut self,
        history: &TimelineHistory,
        (first, last): (Segment, Segment),
    ) -> Result<bool> {
        let size = self.segments.size();
        if !self.segments.is_pruned(first) {
            self.missing.push(MissingWal::new(first, last, size));
        }
        let next = self.record_after(history, last.end(size))?;
        let timeline = history.timeline();
        if let Some(next) = next {
            self.findings.begin(timeline.at(next));
        }
        Ok(next.is_some())
    }

    /// The first record in the segments from `position` on; `None` if there is none. Segments in
    /// which it is not known where a record begins are reported as damaged.
    fn record_after(&mut self, history: &TimelineHistory, position: Lsn) -> Result<Option<Lsn>> {
        let mut number = position.0 / self.segments.size().bytes();
        loop {
            self.check.stop.check()?;
            if self.segments.files(history, number).is_empty() {
                let Some(next) = self.segments.next_available(history, number) else {
                    return Ok(None);
                };
                number = next.number;
            }
            match self.reader(history).first_record(number)? {
                FirstRecord::At(from) => return Ok(Some(from)),
                FirstRecord::Absent => {}
                // The last one may be empty yet.
                FirstRecord::Unknown if self.segments.next_available(history, number).is_some() => {
                    let segment = self.segments.segment_on_path(history, number);
                    let name = segment.name(self.segments.size());
                    let start = segment.start(self.segments.size());
                    self.add_damaged(history, start, (&name, "its first page cannot be read"));
                }
                FirstRecord::Unknown => return Ok(None),
            }
            number = number.saturating_add(1);
        }
    }

    /// Adds a damaged segment. The records before `end` are good; returns up to where recovery can
    /// go.
    fn add_damaged(
        &mut self,
        history: &TimelineHistory,
        end: Lsn,
        (path, why): (&str, &str),
    ) -> Lsn {
        let (timeline, size) = (history.timeline(), self.segments.size());
        let name = Path::new(path).file_name().and_then(|name| name.to_str());
        let file = name.and_then(|name| self.archive.wal_file(name));
        let of_end = end.0 / size.bytes();
        let found = file.as_ref().map_or(of_end, |file| file.segment.number);
        // The checksum of a record and its length do not tell on which of its pages the damage is.
        // Without a bad record the end of the file may be damaged, after its last record.
        let is_anywhere = SPREAD.iter().any(|text| why.contains(text));
        let first = match is_anywhere {
            true => of_end.min(found),
            false => found,
        };
        let segment = |number| self.segments.segment_on_path(history, number);
        let (first, last) = (segment(first), segment(found));
        let end = if end < last.end(size) {
            end
        } else {
            last.start(size)
        };
        // The first one may be of an ancestor.
        let own = match history.begin_of(timeline) {
            Some(begin) => first.number.max(begin.0 / size.bytes()),
            None => first.number,
        };
        let from = Segment {
            timeline,
            number: own.min(found),
        };
        let new = BadWal {
            from: timeline.at(from.start(size)),
            to: last.end(size),
            file: file.map_or_else(|| last.name(size), |file| file.name()),
            problem: self
                .damage(history)
                .problem((first, last, " or "), why, end),
        };
        let bad = self.findings.bad.iter().rposition(|bad| {
            bad.from.timeline == timeline && self.findings.next(timeline) == NextWal::After(bad.to)
        });
        let follows = bad.filter(|_| end == new.from.lsn);
        match (follows, self.last_damage.clone()) {
            // One message for all segments of a range.
            (Some(index), Some((begin, why, end))) => {
                let problem = self
                    .damage(history)
                    .problem((begin, last, " to "), &why, end);
                if let Some(bad) = self.findings.bad.get_mut(index) {
                    (bad.to, bad.problem) = (new.to, problem);
                }
            }
            _ => {
                let server = self.check.repository.path().file_name();
                log::error!(
                    "server {}: {}; hint: take a full backup now, and find the cause: a disk \
                     error, or modified files",
                    server.unwrap_or_default().to_string_lossy(),
                    new.problem
                );
                self.findings.bad.push(new);
                self.last_damage = Some((first, why.to_owned(), end));
            }
        }
        end
    }
}

/// Whether an error of the verification is its end by a stop.
pub(super) fn is_stop(error: &Error) -> bool {
    error.kind() == ErrorKind::Stopped
}
