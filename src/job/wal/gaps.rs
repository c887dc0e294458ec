//! Checks the archive for missing WAL.

use std::time::Instant;

use crate::error::Result;
use crate::job::context::ServerContext;
use crate::repository::{Backup, Gap, MeasuredWalFile, Repository, WalDirectory};

/// As [`check_gaps`], in the pool: an archive may have many files.
pub(super) fn check_in_pool(
    context: &ServerContext,
    repository: &Repository,
    directory: &WalDirectory,
) {
    let (repository, directory) = (repository.clone(), directory.clone());
    let (context, pool) = (context.clone(), &context.daemon.pool);
    // Nobody waits for the result, which it publishes.
    drop(pool.submit_unbounded(move || {
        if let Err(failure) = check(&context, &repository, &directory) {
            let (server, why) = (&context.server.name, failure.message_with_hint());
            log::error!("server {server}: the WAL archive cannot be checked for gaps: {why}");
        }
    }));
}

/// Checks the archive of a server for gaps and publishes them in the status.
pub fn check_gaps(context: &ServerContext) -> Result<()> {
    let repository = context.repository()?;
    match repository.wal()? {
        Some(directory) => check(context, &repository, &directory),
        None => Ok(()),
    }
}

fn check(context: &ServerContext, repository: &Repository, directory: &WalDirectory) -> Result<()> {
    let begun = Instant::now();
    let backups = repository.backups()?;
    report_gaps(
        context,
        directory,
        (&directory.measured_segments()?, &backups),
        begun,
    )
    .map(drop)
}

/// Publishes the gaps between the backups and the ends of the archive in the status, and logs the
/// new ones; returns all. The segments and the backups were listed after `begun`: the result of a
/// check that began later stays.
pub(in crate::job) fn report_gaps(
    context: &ServerContext,
    directory: &WalDirectory,
    (segments, backups): (&[MeasuredWalFile], &[Backup]),
    begun: Instant,
) -> Result<Vec<Gap>> {
    let server = &context.server.name;
    let valid = backups.iter().filter(|backup| backup.info.valid);
    let starts: Vec<_> = valid.map(|backup| backup.info.start).collect();
    let found = directory.gaps_in(segments, &starts)?;
    let gaps: Vec<String> = found.iter().map(ToString::to_string).collect();
    let known = context.status.receiver().gaps;
    for gap in gaps.iter().filter(|gap| !known.contains(gap)) {
        log::error!(
            "server {server}: {gap} in the archive; hint: backups from before it can be recovered \
             up to it only, take a full backup now"
        );
    }
    context.status.update_receiver(|state| {
        if state.gaps_as_of <= Some(begun) {
            (state.gaps, state.gaps_as_of) = (gaps, Some(begun));
        }
    });
    Ok(found)
}
