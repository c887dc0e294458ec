//! Looking for WAL that is missing in the archive.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Server;
use crate::error::Result;
use crate::job::context::Context;
use crate::pool::{Pool, Ticket};
use crate::repository::{Repository, WalDirectory};
use crate::status::Board;
use crate::unit::ServerName;

/// How often to look, besides at the start and where a gap is expected.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Looks for gaps now and then, in the pool: an archive may have many files.
pub(super) struct GapWatch {
    repository: Repository,
    directory: WalDirectory,
    board: Arc<Board>,
    server: ServerName,
    pool: Arc<Pool>,
    next: Instant,
    running: Option<Ticket<Result<()>>>,
}

impl GapWatch {
    /// Looks at the first [`GapWatch::tend`].
    pub(super) fn new(
        context: &Context,
        server: &ServerName,
        repository: &Repository,
        directory: &WalDirectory,
    ) -> GapWatch {
        GapWatch {
            repository: repository.clone(),
            directory: directory.clone(),
            board: context.board.clone(),
            server: server.clone(),
            pool: context.pool.clone(),
            next: Instant::now(),
            running: None,
        }
    }

    /// Looks at the next [`GapWatch::tend`].
    pub(super) fn hurry(&mut self) {
        self.next = Instant::now();
    }

    /// Looks if it is time for it. Does not wait.
    pub(super) fn tend(&mut self) {
        if let Some(ticket) = self.running.take_if(|ticket| ticket.is_done())
            && let Err(failure) = ticket.wait().and_then(|result| result)
        {
            let server = &self.server;
            let why = failure.told();
            log::error!("server {server}: the WAL archive cannot be checked for gaps: {why}");
        }
        if self.running.is_none() && Instant::now() >= self.next {
            self.next = Instant::now() + INTERVAL;
            let (repository, directory) = (self.repository.clone(), self.directory.clone());
            let (board, server) = (self.board.clone(), self.server.clone());
            let work = move || look(&repository, &directory, &board, &server);
            self.running = Some(self.pool.post(work));
        }
    }
}

/// Looks for gaps in the archive of a server, and puts them on the board.
pub fn look_for_gaps(context: &Context, server: &Server) -> Result<()> {
    let repository = context.repository(&server.name)?;
    match repository.wal()? {
        Some(directory) => look(&repository, &directory, &context.board, &server.name),
        None => Ok(()),
    }
}

/// Puts the gaps between the backups and the ends of the archive on the board, and into the log those that are new.
fn look(
    repository: &Repository,
    directory: &WalDirectory,
    board: &Board,
    server: &ServerName,
) -> Result<()> {
    let backups = repository.backups()?;
    let valid = backups.iter().filter(|backup| backup.info.valid);
    let starts: Vec<_> = valid.map(|backup| backup.info.start).collect();
    let gaps = directory.gaps(&starts)?;
    let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
    let known = board.receiver(server).gaps;
    for gap in gaps.iter().filter(|gap| !known.contains(gap)) {
        log::error!(
            "server {server}: {gap} in the archive; hint: backups from before it can be recovered up to it only, take a \
             full backup now"
        );
    }
    board.update_receiver(server, |state| state.gaps = gaps);
    Ok(())
}
