//! Which interval the verified WAL proves to be restorable, and why no more.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::crypto::MasterKey;
use crate::error::Result;
use crate::format::TimelineHistory;
use crate::job::replay::{FirstRecord, Segments, WalReader, contains_backup};
use crate::repository::{Backup, Gap, Repository, VerificationInfo, WalDirectory, WalFindings};
use crate::sys::Stop;
use crate::unit::{Lsn, Segment, Timeline};

/// The interval to each position of which the server can be recovered, as far as it is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restorable {
    /// The timeline of its end.
    pub timeline: Timeline,
    /// The end of the oldest backup.
    pub from: Lsn,
    /// The end of the last record.
    pub to: Lsn,
    /// When the verification began that read all of the WAL, seconds since 1970 UTC.
    pub proven: i64,
}

/// What a status is made from: what the last verifications found, and what is there now.
pub(crate) struct VerifiedArchive<'a> {
    pub repository: &'a Repository,
    pub key: &'a Arc<MasterKey>,
    pub stop: &'a Stop,
    pub info: &'a VerificationInfo,
    pub backups: &'a [Backup],
    /// The segments that are missing now.
    pub gaps: &'a [Gap],
}

/// The timeline that an archive follows, with its ancestors.
struct Path {
    wal: WalDirectory,
    history: TimelineHistory,
}

impl VerifiedArchive<'_> {
    /// The interval that is proven on the path to the timeline that the archive follows; and why it
    /// does not end on that timeline, although that has WAL. Reads nothing if no WAL was verified.
    pub(crate) fn restorable(&self) -> Result<(Option<Restorable>, Option<String>)> {
        let Some(findings) = &self.info.wal else {
            return Ok((None, None));
        };
        let Some(path) = self.path()? else {
            return Ok((None, None));
        };
        let proven = self.proven(&path, findings)?;
        let why = self.why_incomplete(&path, findings, proven.as_ref())?;
        Ok((proven, why))
    }

    fn path(&self) -> Result<Option<Path>> {
        let followed = self.repository.followed_timeline()?;
        let (Some(wal), Some(timeline)) = (self.repository.wal()?, followed) else {
            return Ok(None);
        };
        let history = wal.histories()?.get(timeline);
        let history = history.unwrap_or_else(|_| TimelineHistory::without_ancestors(timeline));
        Ok(Some(Path { wal, history }))
    }

    /// The interval that is proven on the path to the timeline that the archive follows; `None` if
    /// there is none. It ends before segments that are missing now.
    fn proven(&self, path: &Path, findings: &WalFindings) -> Result<Option<Restorable>> {
        let is_good = |backup: &&Backup| !self.info.has_problem(&backup.label);
        let good: Vec<&Backup> = self.backups.iter().filter(is_good).collect();
        let gaps: Vec<Range> = self.gaps_on(path).map(|(range, _)| range).collect();
        for (_, low, top) in proven_chains(&path.history, findings) {
            for (low, mut to) in without((low, top), &gaps).into_iter().rev() {
                if to < top {
                    to = self.last_end(path, to)?;
                }
                let found = interval(&path.history, (low, to), &good, findings.begun);
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// The missing segments that recovery along a path would read.
    fn gaps_on<'p>(&'p self, path: &'p Path) -> impl Iterator<Item = (Range, &'p Gap)> {
        let size = path.wal.segment_size();
        self.gaps.iter().filter_map(move |gap| {
            let range = (gap.first.start(size), gap.last.end(size));
            Some((path.clip(gap.first.timeline, range)?, gap))
        })
    }

    /// The end of the last record in the segments before `position`, where one is missing.
    fn last_end(&self, path: &Path, position: Lsn) -> Result<Lsn> {
        let segments = Segments::new(path.wal.clone(), self.key.clone())?;
        let reader = WalReader {
            segments: &segments,
            history: &path.history,
            system_identifier: None,
            strict: true,
            stop: self.stop,
        };
        for number in (0..position.0 / segments.size().bytes()).rev() {
            match reader.first_record(number)? {
                FirstRecord::At(from) => {
                    let mut end = from;
                    reader.read(from, &mut |record, _| {
                        if record.end > position {
                            return ControlFlow::Break(());
                        }
                        end = record.end;
                        ControlFlow::Continue(())
                    })?;
                    return Ok(end);
                }
                FirstRecord::Absent => {}
                FirstRecord::Unknown => return Ok(Lsn(number * segments.size().bytes())),
            }
        }
        Ok(Lsn::ZERO)
    }

    /// Why the proven interval does not end on the timeline that the archive follows, although that
    /// has WAL.
    fn why_incomplete(
        &self,
        path: &Path,
        findings: &WalFindings,
        proven: Option<&Restorable>,
    ) -> Result<Option<String>> {
        let timeline = path.history.timeline();
        let begin = path.history.begin_of(timeline).unwrap_or_default();
        let mut bad = findings.bad.iter().filter(|bad| bad.to > Lsn::ZERO);
        let has_wal = findings.of(timeline).any(|one| one.to > begin)
            || bad.any(|bad| bad.from.timeline == timeline && bad.to > begin);
        if !has_wal || proven.is_some_and(|proven| proven.timeline == timeline) {
            return Ok(None);
        }
        let (text, from) = match proven {
            Some(Restorable { timeline, to, .. }) => {
                let text = format!("recovery is proven up to {to} of timeline {timeline} only");
                (text, *to)
            }
            None => {
                let mut readable = self.readable_backups(findings).peekable();
                if readable.peek().is_none() {
                    return Ok(None);
                }
                let on_path =
                    readable.filter(|backup| contains_backup(&path.history, &backup.info));
                let starts = on_path.map(|backup| backup.info.start.lsn);
                let text = "no backup is proven to be recoverable to it".to_owned();
                (text, starts.min().unwrap_or_default())
            }
        };
        let Some(why) = self.why_ends(path, findings, from)? else {
            return Ok(None);
        };
        Ok(Some(format!(
            "the archive follows timeline {timeline}, but {text}: {why}; take a full backup"
        )))
    }

    /// The backups whose own WAL was verified.
    fn readable_backups(&self, findings: &WalFindings) -> impl Iterator<Item = &Backup> {
        let good = self.backups.iter().filter(|backup| {
            let info = &backup.info;
            let mut own = findings.of(info.end.timeline);
            info.start.timeline == info.end.timeline
                && own.any(|one| one.from.lsn <= info.start.lsn && info.end.lsn <= one.to)
        });
        good.filter(|backup| backup.info.valid && !self.info.has_problem(&backup.label))
    }

    /// Why the WAL along a path cannot be read at a position; `None` if it was removed on purpose.
    fn why_ends(&self, path: &Path, findings: &WalFindings, at: Lsn) -> Result<Option<String>> {
        let size = path.wal.segment_size();
        let next = Segment::containing(path.history.timeline_at(at), at, size);
        if path.wal.pruned()?.contains(next, size) {
            return Ok(None);
        }
        let gaps = self.gaps_on(path);
        let gaps = gaps.map(|(range, gap)| (range, gap.to_string()));
        let bad = findings.bad.iter().filter_map(|bad| {
            let clipped = path.clip(bad.from.timeline, (bad.from.lsn, bad.to))?;
            Some((clipped, format!("WAL segment {} is damaged", bad.file)))
        });
        let after = gaps.chain(bad).filter(|((_, end), _)| *end > at);
        let first = after.min_by_key(|((start, _), _)| *start);
        let unknown = || "it is not known how the WAL goes on from there".to_owned();
        Ok(Some(first.map_or_else(unknown, |(_, why)| why)))
    }

    /// What the last verifications found wrong, one text for each problem, as far as the WAL and
    /// the backups are still there.
    pub(crate) fn problems(&self) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for backup in self.backups {
            let verified = self.info.backup(&backup.label);
            let problem = verified.and_then(|verified| verified.problem.as_ref());
            problems.extend(problem.map(|problem| {
                let label = &backup.label;
                format!("the verification of the backup {label} found: {problem}")
            }));
        }
        let findings = [&self.info.wal, &self.info.unfinished];
        let findings = findings.into_iter().flatten();
        let mut bad = findings.flat_map(|findings| &findings.bad).peekable();
        if bad.peek().is_none() {
            return Ok(problems);
        }
        let Some(wal) = self.repository.wal()? else {
            return Ok(problems);
        };
        let (pruned, size) = (wal.pruned()?, wal.segment_size());
        for bad in bad {
            self.stop.check()?;
            let last = Lsn(bad.to.0.saturating_sub(1));
            let last = Segment::containing(bad.from.timeline, last, size);
            // A segment that is too short is missing, which is reported.
            let is_missing = self.gaps.iter().any(|gap| {
                let gone = gap.first.start(size)..gap.last.end(size);
                gap.first.timeline == last.timeline
                    && gone.contains(&bad.from.lsn)
                    && bad.to <= gone.end
            });
            // Not of a history file.
            let is_gone = bad.to > Lsn::ZERO && (is_missing || pruned.contains(last, size));
            if !is_gone && !problems.contains(&bad.problem) {
                problems.push(bad.problem.clone());
            }
        }
        Ok(problems)
    }
}

/// From a position to another one.
pub(super) type Range = (Lsn, Lsn);

/// The parts of a range that are in none of the others.
pub(super) fn without((from, to): Range, others: &[Range]) -> Vec<Range> {
    let mut others = others.to_vec();
    others.sort_unstable();
    let mut parts = Vec::new();
    let mut low = from;
    for (start, end) in others {
        if low < start.min(to) {
            parts.push((low, start.min(to)));
        }
        low = low.max(end);
    }
    if low < to {
        parts.push((low, to));
    }
    parts
}

impl Path {
    /// The part of a range of whole segments of a timeline that recovery reads from files of that
    /// timeline.
    fn clip(&self, timeline: Timeline, (from, to): Range) -> Option<Range> {
        let size = self.wal.segment_size();
        let start = |position: Lsn| Segment::containing(timeline, position, size).start(size);
        let begin = start(self.history.begin_of(timeline)?);
        let end = self.history.end_of(timeline).map_or(Lsn(u64::MAX), start);
        let (from, to) = (from.max(begin), to.min(end));
        (from < to).then_some((from, to))
    }
}

/// The oldest backup whose WAL is in the chain, and the end of that.
fn interval(
    history: &TimelineHistory,
    (low, to): Range,
    backups: &[&Backup],
    proven: i64,
) -> Option<Restorable> {
    let usable = backups.iter().filter(|backup| {
        let info = &backup.info;
        info.valid && contains_backup(history, info) && info.start.lsn >= low && info.end.lsn <= to
    });
    let from = usable.map(|backup| backup.info.end.lsn).min()?;
    Some(Restorable {
        timeline: history.timeline_at(Lsn(to.0.saturating_sub(1))),
        from,
        to,
        proven,
    })
}

/// Good WAL along a history: the last timeline, the start, which may be on an ancestor, and the
/// end.
type Chain = (Timeline, Lsn, Lsn);

/// The intervals of good WAL along a history, newest first.
fn proven_chains(history: &TimelineHistory, findings: &WalFindings) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    for timeline in history.timelines().rev() {
        let begin = history.begin_of(timeline).unwrap_or(Lsn::ZERO);
        let end = history.end_of(timeline).unwrap_or(Lsn(u64::MAX));
        // The history may have no WAL of it.
        let known = findings.of(timeline).rev().filter(|_| begin < end);
        for one in known.filter(|one| one.from.lsn < one.to && one.from.lsn < end) {
            match chains.last_mut() {
                // It goes on where the later timeline begins; with the first segment of that the
                // WAL before it was read too.
                Some((later, low, _)) if *later != timeline && *low <= end && one.to >= *low => {
                    *low = one.from.lsn.min(*low);
                }
                _ => chains.push((timeline, one.from.lsn, one.to.min(end))),
            }
        }
    }
    chains
}
