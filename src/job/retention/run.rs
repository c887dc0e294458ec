//! One run of retention for a server.

use std::time::{Instant, SystemTime};

use super::pass::{BackupOutcome, Pass, Removal, due};
use super::policy::{Clock, Decision, Policy};
use super::report::{RUN, report, report_failure, report_wal};
use super::wal::WalOutcome;
use crate::error::{ErrorKind, Result};
use crate::job::authentic::{self, Assessment};
use crate::job::context::ServerContext;
use crate::repository::{Backup, Repository};
use crate::status::{Activity, Scope};

/// The options of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Whether nothing is removed.
    pub dry_run: bool,
}

/// What a run did.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// All backups, oldest first, and those that were removed.
    pub backups: Vec<BackupOutcome>,
    pub wal: WalOutcome,
}

/// Removes the backups of a server that no rule keeps, and then the WAL that no backup needs.
/// [`ErrorKind::Busy`] if that is being done already.
pub(crate) fn run(context: &ServerContext, options: Options) -> Result<Outcome> {
    let guard = context
        .status
        .begin(Activity::Retention, Scope::Retention)?;
    let repository = context.repository()?;
    let verified = repository.verification();
    let assess = |backup: &Backup| authentic::assess_verified(context, &verified, backup);
    let pass = pass(context, &repository, &assess);
    if options.dry_run {
        guard.uncounted();
        return preview(&pass);
    }
    let backups = pass.expire()?;
    report(context, &backups);
    let wal = prune_wal(context)?;
    guard.succeeded();
    Ok(Outcome { backups, wal })
}

/// As [`run`], by the schedule. A problem is logged when it is new, and then once a day.
pub(crate) fn scheduled(context: &ServerContext) -> Result<()> {
    match run(context, Options::default()) {
        Err(failure) if matches!(failure.kind(), ErrorKind::Busy | ErrorKind::Stopped) => {}
        Err(failure) => report_failure(context, &failure),
        Ok(_) => context.status.retention().forget(|topic| topic != RUN),
    }
    Ok(())
}

/// As [`scheduled`], because the disk is full; whether it removed anything.
pub(crate) fn at_once(context: &ServerContext) -> bool {
    match run(context, Options::default()) {
        Ok(outcome) => {
            let removed = |one: &BackupOutcome| one.removal == Removal::Removed;
            outcome.wal.files > 0 || outcome.backups.iter().any(removed)
        }
        Err(failure) => {
            if !matches!(failure.kind(), ErrorKind::Busy | ErrorKind::Stopped) {
                report_failure(context, &failure);
            }
            false
        }
    }
}

/// Removes the WAL that no backup needs, also after a backup was deleted.
pub(crate) fn prune_wal(context: &ServerContext) -> Result<WalOutcome> {
    let repository = context.repository()?;
    let verified = repository.verification();
    let assess = |backup: &Backup| authentic::assess_verified(context, &verified, backup);
    let wal = pass(context, &repository, &assess).prune_wal()?;
    report_wal(context, &wal);
    Ok(wal)
}

fn pass<'a>(
    context: &'a ServerContext,
    repository: &'a Repository,
    assess: &'a dyn Fn(&Backup) -> Assessment,
) -> Pass<'a> {
    let (now, clock) = (Instant::now(), SystemTime::now());
    let clock = match context.status.retention().has_jumped(now, clock) {
        true => Clock::Jumped,
        false => Clock::Steady,
    };
    Pass {
        status: &context.status,
        repository,
        policy: Policy {
            retention: context.server.retention,
            minimum: context.server.retention_minimum,
        },
        wal_retention: context.server.wal_retention,
        now: (jiff::Zoned::now().datetime(), clock),
        assess,
        stop: &context.stop,
    }
}

/// What a run would do.
fn preview(pass: &Pass<'_>) -> Result<Outcome> {
    let plan = pass.plan()?;
    let backups = due(&plan);
    let kept = plan.into_iter();
    let kept = kept.filter(|one| matches!(one.decision, Decision::Keep(_)));
    let kept: Vec<Backup> = kept.map(|one| one.backup).collect();
    Ok(Outcome {
        backups,
        wal: pass.preview_wal(&kept)?,
    })
}
