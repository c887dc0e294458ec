//! Gives complete segments to the pool for sealing, and those that failed again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::seal::{Sealed, seal};
use crate::codec::Coding;
use crate::error::{Failure, Kind, Result};
use crate::job::context::Context;
use crate::pool::{Pool, Ticket};
use crate::repository::WalDirectory;
use crate::status::Board;
use crate::sys::Stop;
use crate::unit::{Segment, ServerName};

/// How long to wait before what failed is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// The segments of one server on their way to be sealed.
pub(super) struct Sealer {
    directory: WalDirectory,
    coding: Coding,
    pool: Arc<Pool>,
    board: Arc<Board>,
    server: ServerName,
    stop: Stop,
    running: Vec<(Segment, Ticket<Result<Sealed>>)>,
    failed: Vec<Segment>,
    retry_at: Option<Instant>,
}

impl Sealer {
    pub(super) fn new(context: &Context, server: &ServerName, directory: &WalDirectory) -> Sealer {
        let config = &context.config;
        Sealer {
            directory: directory.clone(),
            coding: Coding {
                compression: config.compression,
                level: config.compression_level,
                encryption: config.encryption,
                key: Some(context.key.clone()),
            },
            pool: context.pool.clone(),
            board: context.board.clone(),
            server: server.clone(),
            stop: context.stop.clone(),
            running: Vec::new(),
            failed: Vec::new(),
            retry_at: None,
        }
    }

    /// Whether segments stay as PostgreSQL wrote them.
    fn leaves_plain(&self) -> bool {
        self.coding.stored() == crate::codec::Stored::PLAIN
    }

    /// Takes over what a crash left: plain segments, and those that are there both plain and sealed.
    pub(super) fn recover(&mut self) -> Result<()> {
        let mut last = None;
        for file in self.directory.files()? {
            if file.partial {
                continue;
            }
            let doubled = last == Some(file.segment);
            if doubled && self.leaves_plain() || file.is_plain() && !self.leaves_plain() {
                self.add(file.segment);
            }
            last = Some(file.segment);
        }
        Ok(())
    }

    /// Takes over a complete segment; one that is taken over already is left alone.
    pub(super) fn completed(&mut self, segment: Segment) {
        let mut known = self.running.iter().map(|(segment, _)| segment);
        if !self.leaves_plain()
            && !known.any(|one| *one == segment)
            && !self.failed.contains(&segment)
        {
            self.add(segment);
        }
    }

    fn add(&mut self, segment: Segment) {
        self.board
            .update_receiver(&self.server, |state| state.unsealed += 1);
        self.post(segment);
    }

    fn post(&mut self, segment: Segment) {
        let (directory, coding) = (self.directory.clone(), self.coding.clone());
        let (board, server, stop) = (self.board.clone(), self.server.clone(), self.stop.clone());
        let ticket = self.pool.post(move || {
            stop.check()?;
            directory.check_place()?;
            let sealed = seal(&directory, segment, &coding)?;
            board.update_receiver(&server, |state| {
                state.unsealed = state.unsealed.saturating_sub(1);
                state.sealed += 1;
            });
            Ok(sealed)
        });
        self.running.push((segment, ticket));
    }

    /// Sees to what is done and what has failed. Does not wait.
    pub(super) fn poll(&mut self) {
        let (done, running) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|(_, ticket)| ticket.is_done());
        self.running = running;
        let done: Vec<(Segment, Ticket<Result<Sealed>>)> = done;
        for (segment, ticket) in done {
            match ticket.wait().and_then(|result| result) {
                Ok(sealed) => self.report(segment, sealed),
                Err(failure) => self.failed(segment, &failure),
            }
        }
        let due = self.retry_at.is_some_and(|at| at <= Instant::now());
        if due {
            self.retry_at = None;
            for segment in std::mem::take(&mut self.failed) {
                self.post(segment);
            }
        }
    }

    fn report(&mut self, segment: Segment, sealed: Sealed) {
        let name = segment.name(self.directory.segment_size());
        if sealed == Sealed::Replaced {
            let server = &self.server;
            log::error!(
                "server {server}: the sealed file of WAL segment {name} was damaged; it was sealed again"
            );
        }
        let failing = self.board.receiver(&self.server).sealing.is_some();
        if failing && self.failed.is_empty() {
            log::info!("server {}: WAL segments are sealed again", self.server);
            self.board
                .update_receiver(&self.server, |state| state.sealing = None);
        }
    }

    fn failed(&mut self, segment: Segment, failure: &Failure) {
        if failure.kind() == Kind::Stopped {
            return;
        }
        self.failed.push(segment);
        self.retry_at.get_or_insert_with(|| Instant::now() + RETRY);
        let known = self.board.receiver(&self.server).sealing.is_some();
        if !known {
            let server = &self.server;
            log::error!(
                "server {server}: WAL segments stay unsealed, no WAL is lost, it is tried again: {}",
                failure.told()
            );
            let why = failure.told();
            self.board
                .update_receiver(&self.server, |state| state.sealing = Some(why));
        }
    }
}
