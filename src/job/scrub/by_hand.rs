//! `verify wal`: verifies the WAL archive at once.

use super::archive::{ArchiveCheck, MissingWal};
use super::restorable::{Range, without};
use crate::error::{ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::job::verify::FileReport;
use crate::repository::{Backup, BadWal, Gap, Repository, WalFindings};
use crate::status::{Activity, Scope};
use crate::unit::{Lsn, Segment, Timestamp, WalPosition};

/// The options of a verification of the WAL archive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Whether to report the good segments too.
    pub all: bool,
}

/// The result of a verification of the WAL archive.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// The segments and history files that are missing or damaged.
    pub failed: Vec<FileReport>,
    /// The good segments, if asked for.
    pub good: Vec<FileReport>,
    /// Problems other than bad files, as text.
    pub warnings: Vec<String>,
}

/// Reads the archived WAL from the start of the oldest backup on, and records the result for
/// `status`.
pub(crate) fn run(context: &ServerContext, options: Options) -> Result<Outcome> {
    let guard = context
        .status
        .begin(Activity::Verify, Scope::Verify(None))?;
    let repository = context.repository()?;
    let mut findings = WalFindings::new(Timestamp::now().seconds());
    let check = ArchiveCheck {
        repository: &repository,
        key: &context.daemon.key,
        stop: &context.stop,
        pace: None,
        progress: guard.progress(),
        save_interval: u64::MAX,
        save: &|_| Ok(()),
    };
    let mut outcome = Outcome::default();
    if check.backups()?.is_empty() {
        let warning = "no WAL was read: there is no valid backup that needs it";
        outcome.warnings.push(warning.to_owned());
    }
    let missing = check.run(&mut findings)?;
    let missing = with_gaps(&repository, &check.backups()?, (missing, &findings))?;
    let missing = missing.iter().map(|one| report(&one.file, &one.reason));
    outcome.failed.extend(missing);
    for bad in &findings.bad {
        outcome.failed.extend(damaged(&repository, bad)?);
    }
    outcome
        .failed
        .sort_by(|one, other| one.path.cmp(&other.path));
    if options.all {
        outcome.good = good(&repository, &findings)?;
    }
    record(context, &repository, findings)?;
    if outcome.failed.is_empty() {
        guard.succeeded();
    }
    Ok(outcome)
}

/// The WAL that is missing: what a verification missed, and the gaps, which may be at the end of an
/// ancestor too. A damaged segment is not among them.
pub(super) fn with_gaps(
    repository: &Repository,
    backups: &[Backup],
    (mut missing, findings): (Vec<MissingWal>, &WalFindings),
) -> Result<Vec<MissingWal>> {
    let Some(wal) = repository.wal()? else {
        return Ok(missing);
    };
    let size = wal.segment_size();
    let starts: Vec<WalPosition> = backups.iter().map(|backup| backup.info.start).collect();
    let gaps = match wal.gaps(&starts) {
        // A damaged history file is among the findings.
        Err(failure) if failure.kind() == ErrorKind::Corrupt && !findings.bad.is_empty() => {
            return Ok(missing);
        }
        gaps => gaps?,
    };
    for Gap { first, last, .. } in gaps {
        let timeline = first.timeline;
        missing.retain(|one| {
            let file = wal.wal_file(&one.file).map(|file| file.segment);
            file.is_none_or(|segment| !(first..=last).contains(&segment))
        });
        let bad = findings.bad.iter();
        let bad = bad.filter(|bad| bad.from.timeline == timeline);
        let bad: Vec<Range> = bad.map(|bad| (bad.from.lsn, bad.to)).collect();
        for (from, to) in without((first.start(size), last.end(size)), &bad) {
            let first = Segment::containing(timeline, from, size);
            let last = Segment::containing(timeline, Lsn(to.0.saturating_sub(1)), size);
            missing.push(MissingWal::new(first, last, size));
        }
    }
    Ok(missing)
}

/// Records a complete verification of the WAL archive, unless a later one was recorded.
pub(super) fn record(
    context: &ServerContext,
    repository: &Repository,
    findings: WalFindings,
) -> Result<()> {
    let damaged = findings.bad.len();
    context
        .status
        .update_verification(|state| state.damaged_wal = Some(damaged));
    // One in the future is of another clock.
    let now = Timestamp::now().seconds();
    let begun = findings.begun;
    let is_older = |known: &WalFindings| known.begun <= begun || known.begun > now;
    repository.update_verification(|info| {
        if info.wal.as_ref().is_none_or(is_older) {
            info.wal = Some(findings);
        }
        if info.unfinished.as_ref().is_some_and(is_older) {
            info.unfinished = None;
        }
    })
}

/// The files of damaged segments.
fn damaged(repository: &Repository, bad: &BadWal) -> Result<Vec<FileReport>> {
    let mut files = vec![report(&bad.file, &bad.problem)];
    let Some(wal) = repository.wal()? else {
        return Ok(files);
    };
    let (timeline, size) = (bad.from.timeline, wal.segment_size());
    let named = wal.wal_file(&bad.file).map(|file| file.segment);
    for number in bad.from.lsn.0 / size.bytes()..bad.to.0 / size.bytes() {
        let segment = Segment { timeline, number };
        if Some(number) != named.map(|named| named.number) {
            files.push(report(&segment.name(size), &bad.problem));
        }
    }
    Ok(files)
}

/// The segments that lie in what is proven.
fn good(repository: &Repository, findings: &WalFindings) -> Result<Vec<FileReport>> {
    let Some(wal) = repository.wal()? else {
        return Ok(Vec::new());
    };
    let size = wal.segment_size();
    let files = wal.segments()?.into_iter().filter(|file| {
        let (start, end) = (file.segment.start(size), file.end());
        let mut proven = findings.of(file.segment.timeline);
        let bad = findings.bad.iter().any(|bad| {
            bad.from.timeline == file.segment.timeline && bad.from.lsn < end && start < bad.to
        });
        !bad && proven.any(|one| one.from.lsn < end && start < one.to)
    });
    Ok(files.map(|file| report(&file.name(), "")).collect())
}

fn report(file: &str, reason: &str) -> FileReport {
    FileReport::without_digests(format!("wal/{file}"), "CRC32C", reason)
}
