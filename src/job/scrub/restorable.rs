//! Which interval the verified WAL proves to be restorable.

use crate::error::Result;
use crate::format::TimelineHistory;
use crate::job::context::ServerContext;
use crate::job::replay::contains_backup;
use crate::repository::{Backup, Repository, VerificationInfo, WalFindings};
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

/// The interval that is proven on the path to the timeline that the archive follows; `None` if
/// there is none.
pub(crate) fn restorable(
    repository: &Repository,
    info: &VerificationInfo,
    backups: &[Backup],
) -> Result<Option<Restorable>> {
    let Some(findings) = &info.wal else {
        return Ok(None);
    };
    let (Some(wal), Some(timeline)) = (repository.wal()?, repository.followed_timeline()?) else {
        return Ok(None);
    };
    let Ok(history) = wal.histories()?.get(timeline) else {
        return Ok(None);
    };
    let mut chains = proven_chains(&history, findings).into_iter();
    let good = backups
        .iter()
        .filter(|backup| !info.has_problem(&backup.label));
    let good: Vec<&Backup> = good.collect();
    Ok(chains.find_map(|chain| interval(&history, chain, &good, findings.begun)))
}

/// The oldest backup whose WAL is in the chain, and the end of that.
fn interval(
    history: &TimelineHistory,
    (_, low, to): Chain,
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

/// What the last verifications found wrong, one text for each problem, as far as the WAL and the
/// backups are still there.
pub(crate) fn wal_problems(
    context: &ServerContext,
    repository: &Repository,
    info: &VerificationInfo,
    backups: &[Backup],
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for backup in backups {
        let verified = info.backup(&backup.label);
        let problem = verified.and_then(|verified| verified.problem.as_ref());
        problems.extend(problem.map(|problem| {
            let label = &backup.label;
            format!("the verification of the backup {label} found: {problem}")
        }));
    }
    let findings = [&info.wal, &info.unfinished].into_iter().flatten();
    let mut bad = findings.flat_map(|findings| &findings.bad).peekable();
    if bad.peek().is_none() {
        return Ok(problems);
    }
    let Some(wal) = repository.wal()? else {
        return Ok(problems);
    };
    let (pruned, size) = (wal.pruned()?, wal.segment_size());
    for bad in bad {
        context.stop.check()?;
        let last = Lsn(bad.to.0.saturating_sub(1));
        let last = Segment::containing(bad.from.timeline, last, size);
        // Not of a history file.
        let is_pruned = bad.to > Lsn::ZERO && pruned.contains(last, size);
        if !is_pruned && !problems.contains(&bad.problem) {
            problems.push(bad.problem.clone());
        }
    }
    Ok(problems)
}
