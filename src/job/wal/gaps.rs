//! Checks the archive for missing WAL.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::job::context::ServerContext;
use crate::pool::TaskHandle;
use crate::repository::{Backup, Repository, WalDirectory, WalFile};

/// How often to check, besides at the start and where a gap is expected.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Checks for gaps at intervals, in the pool: an archive may have many files.
pub(super) struct GapChecker {
    context: ServerContext,
    repository: Repository,
    directory: WalDirectory,
    next: Instant,
    running: Option<TaskHandle<Result<()>>>,
}

impl GapChecker {
    /// The first [`GapChecker::poll`] checks.
    pub(super) fn new(
        context: &ServerContext,
        repository: &Repository,
        directory: &WalDirectory,
    ) -> GapChecker {
        GapChecker {
            context: context.clone(),
            repository: repository.clone(),
            directory: directory.clone(),
            next: Instant::now(),
            running: None,
        }
    }

    /// Makes the next [`GapChecker::poll`] check.
    pub(super) fn schedule_now(&mut self) {
        self.next = Instant::now();
    }

    /// Starts a check if one is due. Does not wait.
    pub(super) fn poll(&mut self) {
        if let Some(handle) = self.running.take_if(|handle| handle.is_done())
            && let Err(failure) = handle.wait().and_then(|result| result)
        {
            let server = &self.context.server.name;
            let why = failure.message_with_hint();
            log::error!("server {server}: the WAL archive cannot be checked for gaps: {why}");
        }
        if self.running.is_none() && Instant::now() >= self.next {
            self.next = Instant::now() + INTERVAL;
            let (repository, directory) = (self.repository.clone(), self.directory.clone());
            let context = self.context.clone();
            let work = move || check(&context, &repository, &directory);
            self.running = Some(self.context.daemon.pool.submit_unbounded(work));
        }
    }
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
    let backups = repository.backups()?;
    report_gaps(context, directory, &directory.segments()?, &backups)
}

/// Publishes the gaps between the backups and the ends of the archive in the status, and logs the
/// new ones.
pub(in crate::job) fn report_gaps(
    context: &ServerContext,
    directory: &WalDirectory,
    segments: &[WalFile],
    backups: &[Backup],
) -> Result<()> {
    let server = &context.server.name;
    let valid = backups.iter().filter(|backup| backup.info.valid);
    let starts: Vec<_> = valid.map(|backup| backup.info.start).collect();
    let gaps = directory.gaps_in(segments, &starts)?;
    let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
    let known = context.status.receiver().gaps;
    for gap in gaps.iter().filter(|gap| !known.contains(gap)) {
        log::error!(
            "server {server}: {gap} in the archive; hint: backups from before it can be recovered \
             up to it only, take a full backup now"
        );
    }
    context.status.update_receiver(|state| state.gaps = gaps);
    Ok(())
}
