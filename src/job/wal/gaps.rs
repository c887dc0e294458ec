//! Checks the archive for missing WAL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Server;
use crate::error::Result;
use crate::job::context::JobContext;
use crate::pool::{Pool, TaskHandle};
use crate::repository::{Repository, WalDirectory};
use crate::status::Registry;
use crate::unit::ServerName;

/// How often to check, besides at the start and where a gap is expected.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Checks for gaps at intervals, in the pool: an archive may have many files.
pub(super) struct GapChecker {
    repository: Repository,
    directory: WalDirectory,
    registry: Arc<Registry>,
    server: ServerName,
    pool: Arc<Pool>,
    next: Instant,
    running: Option<TaskHandle<Result<()>>>,
}

impl GapChecker {
    /// The first [`GapChecker::poll`] checks.
    pub(super) fn new(
        context: &JobContext,
        server: &ServerName,
        repository: &Repository,
        directory: &WalDirectory,
    ) -> GapChecker {
        GapChecker {
            repository: repository.clone(),
            directory: directory.clone(),
            registry: context.registry.clone(),
            server: server.clone(),
            pool: context.pool.clone(),
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
            let server = &self.server;
            let why = failure.message_with_hint();
            log::error!("server {server}: the WAL archive cannot be checked for gaps: {why}");
        }
        if self.running.is_none() && Instant::now() >= self.next {
            self.next = Instant::now() + INTERVAL;
            let (repository, directory) = (self.repository.clone(), self.directory.clone());
            let (registry, server) = (self.registry.clone(), self.server.clone());
            let work = move || check(&repository, &directory, &registry, &server);
            self.running = Some(self.pool.submit_unbounded(work));
        }
    }
}

/// Checks the archive of a server for gaps and publishes them in the status.
pub fn check_gaps(context: &JobContext, server: &Server) -> Result<()> {
    let repository = context.repository(&server.name)?;
    match repository.wal()? {
        Some(directory) => check(&repository, &directory, &context.registry, &server.name),
        None => Ok(()),
    }
}

/// Publishes the gaps between the backups and the ends of the archive in the status, and logs the
/// new ones.
fn check(
    repository: &Repository,
    directory: &WalDirectory,
    registry: &Registry,
    server: &ServerName,
) -> Result<()> {
    let backups = repository.backups()?;
    let valid = backups.iter().filter(|backup| backup.info.valid);
    let starts: Vec<_> = valid.map(|backup| backup.info.start).collect();
    let gaps = directory.gaps(&starts)?;
    let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
    let known = registry.receiver(server).gaps;
    for gap in gaps.iter().filter(|gap| !known.contains(gap)) {
        log::error!(
            "server {server}: {gap} in the archive; hint: backups from before it can be recovered \
             up to it only, take a full backup now"
        );
    }
    registry.update_receiver(server, |state| state.gaps = gaps);
    Ok(())
}
