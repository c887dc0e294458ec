//! Submits complete segments to the pool for sealing, and retries those that failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::seal::{Sealed, seal};
use crate::codec::EncodeOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::pool::TaskHandle;
use crate::repository::WalDirectory;
use crate::unit::Segment;

/// How long to wait before failed segments are retried.
const RETRY_DELAY: Duration = Duration::from_secs(30);

/// The segments of one server that are to be sealed. Dropping it waits until none is being sealed:
/// a receiver that is started again seals the same segments.
pub(super) struct Sealer {
    context: ServerContext,
    directory: WalDirectory,
    coding: EncodeOptions,
    running: Vec<(Segment, TaskHandle<Result<Sealed>>)>,
    failed: Vec<Segment>,
    retry_at: Option<Instant>,
    /// Whether one of them failed for want of room.
    no_space: bool,
    dropped: Arc<AtomicBool>,
}

impl Sealer {
    pub(super) fn new(context: &ServerContext, directory: &WalDirectory) -> Sealer {
        Sealer {
            context: context.clone(),
            directory: directory.clone(),
            coding: context.daemon.encode_options(),
            running: Vec::new(),
            failed: Vec::new(),
            retry_at: None,
            no_space: false,
            dropped: Arc::default(),
        }
    }

    /// Whether neither compression nor encryption is configured.
    fn keeps_plain(&self) -> bool {
        self.coding.stored() == crate::codec::StoredFormat::PLAIN
    }

    /// Submits what a crash left: plain segments, and those with both a plain and a sealed file.
    pub(super) fn recover(&mut self) -> Result<()> {
        let mut last = None;
        for file in self.directory.files()? {
            if file.partial {
                continue;
            }
            let duplicate = last == Some(file.segment);
            if duplicate && self.keeps_plain() || file.is_plain() && !self.keeps_plain() {
                self.add(file.segment);
            }
            last = Some(file.segment);
        }
        Ok(())
    }

    /// Submits a complete segment unless it was submitted before.
    pub(super) fn completed(&mut self, segment: Segment) {
        let mut submitted = self.running.iter().map(|(segment, _)| segment);
        if !self.keeps_plain()
            && !submitted.any(|one| *one == segment)
            && !self.failed.contains(&segment)
        {
            self.add(segment);
        }
    }

    fn add(&mut self, segment: Segment) {
        self.context
            .status
            .update_receiver(|state| state.unsealed += 1);
        self.post(segment);
    }

    fn post(&mut self, segment: Segment) {
        let (directory, coding) = (self.directory.clone(), self.coding.clone());
        let (context, dropped) = (self.context.clone(), self.dropped.clone());
        let handle = self.context.daemon.pool.submit_unbounded(move || {
            context.stop.check()?;
            if dropped.load(Ordering::SeqCst) {
                return Err(Error::new(ErrorKind::Stopped, "the receiver has ended"));
            }
            directory.check_paths()?;
            let sealed = seal(&directory, segment, &coding)?;
            context.status.update_receiver(|state| {
                state.unsealed = state.unsealed.saturating_sub(1);
                state.sealed += 1;
            });
            Ok(sealed)
        });
        self.running.push((segment, handle));
    }

    /// Handles finished segments and retries failed ones. Does not wait.
    pub(super) fn poll(&mut self) {
        let (done, running) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|(_, handle)| handle.is_done());
        self.running = running;
        self.end(done);
        let due = self.retry_at.is_some_and(|at| at <= Instant::now());
        if due {
            self.retry();
        }
    }

    /// Whether a segment is not sealed because there was no room for the sealed one.
    pub(super) fn lacks_room(&self) -> bool {
        self.no_space
    }

    /// Makes what room it can: waits until no segment is being sealed. Those that failed are tried
    /// again, one at a time, as together they need more room, and as long as one of them succeeds.
    pub(super) fn finish(&mut self) {
        self.end_running();
        loop {
            let failed = std::mem::take(&mut self.failed);
            let count = failed.len();
            (self.retry_at, self.no_space) = (None, false);
            for segment in failed {
                self.post(segment);
                self.end_running();
            }
            if self.failed.is_empty() || self.failed.len() >= count {
                break;
            }
        }
    }

    fn end_running(&mut self) {
        let running = std::mem::take(&mut self.running);
        self.end(running);
    }

    fn retry(&mut self) {
        (self.retry_at, self.no_space) = (None, false);
        for segment in std::mem::take(&mut self.failed) {
            self.post(segment);
        }
    }

    fn end(&mut self, tasks: Vec<(Segment, TaskHandle<Result<Sealed>>)>) {
        for (segment, handle) in tasks {
            match handle.wait().and_then(|result| result) {
                Ok(sealed) => self.report(segment, sealed),
                Err(failure) => self.failed(segment, &failure),
            }
        }
    }

    fn report(&mut self, segment: Segment, sealed: Sealed) {
        let name = segment.name(self.directory.segment_size());
        if sealed == Sealed::Replaced {
            let server = &self.context.server.name;
            log::error!(
                "server {server}: the sealed file of WAL segment {name} was damaged; it was sealed \
                 again"
            );
        }
        let failing = self.context.status.receiver().seal_error.is_some();
        if failing && self.failed.is_empty() {
            log::info!(
                "server {}: WAL segments are sealed again",
                self.context.server.name
            );
            self.context
                .status
                .update_receiver(|state| state.seal_error = None);
        }
    }

    fn failed(&mut self, segment: Segment, failure: &Error) {
        if failure.kind() == ErrorKind::Stopped {
            return;
        }
        self.failed.push(segment);
        self.no_space |= failure.kind() == ErrorKind::NoSpace;
        self.retry_at
            .get_or_insert_with(|| Instant::now() + RETRY_DELAY);
        let reported = self.context.status.receiver().seal_error.is_some();
        if !reported {
            let server = &self.context.server.name;
            log::error!(
                "server {server}: WAL segments cannot be sealed, no WAL is lost, retrying: {}",
                failure.message_with_hint()
            );
            let why = failure.message_with_hint();
            self.context
                .status
                .update_receiver(|state| state.seal_error = Some(why));
        }
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
        for (_, handle) in self.running.drain(..) {
            // What was not sealed is sealed by the next receiver.
            let _ = handle.wait();
        }
    }
}
