//! One run of the scheduled verification of a server.

use std::sync::Arc;
use std::time::Duration;

use super::archive::{ArchiveCheck, is_stop};
use super::by_hand::record;
use super::due::{Due, due};
use crate::config::LinkMode;
use crate::error::{ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::job::verify::{self, FileReport, PacedReading, may_become_valid};
use crate::repository::{Backup, Repository, WalFindings};
use crate::status::{Activity, Scope};
use crate::unit::{Label, Timestamp};

/// How many runs there are in the time in which all is verified once, so that a restart of the
/// daemon does not delay what is due for long.
const RUNS: u32 = 24;

/// After how many bytes of WAL the result so far is saved.
const SAVE_INTERVAL: u64 = 4 << 30;

const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// How often [`scheduled`] runs; `None` if verification is off.
pub(crate) fn interval(context: &ServerContext) -> Option<Duration> {
    let period = context.daemon.config.verification.duration();
    (!period.is_zero()).then(|| (period / RUNS).clamp(MIN_INTERVAL, MAX_INTERVAL))
}

/// Verifies the backups of a server and its WAL archive, as far as they are due, one after the
/// other; what was not verified for the longest time comes first. Also reads the WAL that arrived
/// since the last run.
pub(crate) fn scheduled(context: &ServerContext) -> Result<()> {
    match run(context) {
        Err(failure) if is_stop(&failure) => Ok(()),
        result => result,
    }
}

fn run(context: &ServerContext) -> Result<()> {
    let now = Timestamp::now().seconds();
    let repository = context.repository()?;
    let backups = repository.backups()?;
    let updated = repository.update_verification(|info| {
        info.retain_backups(|label| backups.iter().any(|backup| backup.label == *label));
    });
    go_on_if_full(context, updated)?;
    // One that became invalid may be good again: its disk was mended.
    let to_verify = backups
        .iter()
        .filter(|backup| backup.info.valid || may_become_valid(backup));
    let labels: Vec<Label> = to_verify.map(|backup| backup.label.clone()).collect();
    let info = repository.verification();
    let due = due(labels, &info, now, context.daemon.config.verification.0);
    if !due.contains(&Due::Wal)
        && let Some(known) = info.wal
    {
        go_on_if_full(context, read_on(context, &repository, known))?;
    }
    let symbolic = context.server.link == LinkMode::Symbolic
        || backups.iter().any(|backup| backup.info.symbolic_links);
    let reading = PacedReading::new(&context.daemon.pace, symbolic);
    for one in due {
        context.stop.check()?;
        let verified = match one {
            Due::Wal => verify_wal(context, &repository, now),
            Due::Backup(label) => verify_backup(context, &label, now, &reading),
        };
        go_on_if_full(context, verified)?;
    }
    Ok(())
}

/// A result that cannot be recorded on a full disk does not end the run.
fn go_on_if_full(context: &ServerContext, result: Result<()>) -> Result<()> {
    match result {
        Err(failure) if failure.kind() == ErrorKind::NoSpace => {
            let (server, why) = (&context.server.name, failure.message_with_hint());
            log::warn!("server {server}: verification: its result is not recorded: {why}");
            Ok(())
        }
        result => result,
    }
}

/// Verifies a backup and records the result. One that is in use is left for the next run.
fn verify_backup(
    context: &ServerContext,
    label: &Label,
    now: i64,
    reading: &Arc<PacedReading>,
) -> Result<()> {
    let (backup, outcome) = match verify::run_paced(context, label, reading) {
        Ok(Some(verified)) => verified,
        Ok(None) => return Ok(()),
        Err(failure) if is_stop(&failure) => return Err(failure),
        Err(failure) if failure.kind() == ErrorKind::Busy => return Ok(()),
        Err(failure) => {
            let (server, why) = (&context.server.name, failure.message_with_hint());
            log::error!("server {server}: the backup {label} cannot be verified: {why}");
            return Ok(());
        }
    };
    let bad: Vec<&FileReport> = outcome.failed.iter().filter(|file| file.proven).collect();
    let count = u64::try_from(bad.len()).unwrap_or(u64::MAX);
    context.status.update_verification(|state| {
        state.backups = state.backups.saturating_add(1);
        state.bad_files = state.bad_files.saturating_add(count);
    });
    if let Some(first) = bad.first()
        && backup.info.valid
    {
        invalidate(context, &backup, first, bad.len());
    }
    let problem = outcome.failed.first();
    let problem = problem.map(|file| format!("{}: {}", file.path, file.reason));
    let repository = context.repository()?;
    repository.update_verification(|info| info.set_backup(label, now, problem))
}

/// Makes a backup invalid, so that nothing is restored from it or linked to it.
fn invalidate(context: &ServerContext, backup: &Backup, first: &FileReport, count: usize) {
    let (server, label) = (&context.server.name, &backup.label);
    let changed = context.repository().and_then(|repository| {
        repository.change_info(backup, &context.daemon.key, |metadata| {
            metadata.valid = false;
            Ok(())
        })
    });
    let files = match count {
        1 => "1 file is bad".to_owned(),
        count => format!("{count} files are bad"),
    };
    let (path, reason) = (&first.path, &first.reason);
    match changed {
        Ok(_) => log::error!(
            "server {server}: the backup {label} is not valid any more: {files}: {path}: \
             {reason}; hint: take a full backup now, and find the cause: a disk error, or \
             modified files"
        ),
        Err(failure) => log::error!(
            "server {server}: the backup {label} cannot be restored: {files}: {path}: {reason}; \
             it cannot be marked as not valid: {}",
            failure.message_with_hint()
        ),
    }
}

/// Reads the WAL that arrived since it was verified.
fn read_on(context: &ServerContext, repository: &Repository, mut known: WalFindings) -> Result<()> {
    let before = known.clone();
    let result = check(context, repository, &mut known, &|_| Ok(()));
    if known != before {
        record(context, repository, known)?;
    }
    result
}

/// Verifies all of the WAL archive, or goes on where that was interrupted.
fn verify_wal(context: &ServerContext, repository: &Repository, now: i64) -> Result<()> {
    let unfinished = repository.verification().unfinished;
    let mut findings = unfinished.unwrap_or_else(|| WalFindings::new(now));
    let save = |findings: &WalFindings| {
        let findings = findings.clone();
        repository.update_verification(|info| info.unfinished = Some(findings))
    };
    match check(context, repository, &mut findings, &save) {
        Ok(()) => {
            let (server, bad) = (&context.server.name, findings.bad.len());
            if bad == 0 && !findings.proven.is_empty() {
                log::info!("server {server}: the archived WAL is good");
            }
            record(context, repository, findings)
        }
        Err(failure) => {
            save(&findings)?;
            Err(failure)
        }
    }
}

fn check(
    context: &ServerContext,
    repository: &Repository,
    findings: &mut WalFindings,
    save: &dyn Fn(&WalFindings) -> Result<()>,
) -> Result<()> {
    let guard = context
        .status
        .begin(Activity::Verify, Scope::Verify(None))?;
    let check = ArchiveCheck {
        repository,
        key: &context.daemon.key,
        stop: &context.stop,
        pace: Some(context.daemon.pace.clone()),
        progress: guard.progress(),
        save_interval: SAVE_INTERVAL,
        save,
    };
    // What is missing is reported by the check for gaps.
    let result = check.run(findings).map(drop);
    guard.end_with(&result);
    result
}
