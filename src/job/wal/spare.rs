//! The spare segment that the next one will be, while the disk has room for whole segments.

use std::time::Instant;

use crate::error::{Error, Result};
use crate::job::context::ServerContext;
use crate::pool::TaskHandle;
use crate::repository::WalDirectory;
use crate::storage::{Filesystem, SpareSegment};
use crate::unit::ByteSize;

/// Prepares spare segments in the pool. Where the disk or the quota has no room for one, segments
/// grow as they are written, until there is room again.
pub(super) struct Spare {
    context: ServerContext,
    directory: WalDirectory,
    task: Option<TaskHandle<Result<SpareSegment>>>,
    ready: Option<SpareSegment>,
    /// Whether segments grow.
    growing: bool,
}

impl Spare {
    pub(super) fn new(context: &ServerContext, directory: &WalDirectory) -> Spare {
        Spare {
            context: context.clone(),
            directory: directory.clone(),
            task: None,
            ready: None,
            growing: false,
        }
    }

    /// Prepares one for the next segment switch. Not while segments grow: until it fails it takes
    /// the room that is left for WAL.
    pub(super) fn prepare(&mut self) {
        if !self.growing {
            self.submit();
        }
    }

    fn submit(&mut self) {
        if self.task.is_none() && self.ready.is_none() {
            let directory = self.directory.clone();
            let make = move || {
                directory.check_paths()?;
                SpareSegment::create(directory.path(), directory.segment_size())
            };
            self.task = Some(self.context.daemon.pool.submit_unbounded(make));
        }
    }

    /// The spare segment, if ready.
    pub(super) fn take(&mut self) -> Option<SpareSegment> {
        if self.task.as_ref().is_some_and(TaskHandle::is_done) {
            self.finish_task();
        }
        self.ready.take()
    }

    /// As [`Spare::take`], and waits for one that is being prepared.
    pub(super) fn wait(&mut self) -> Option<SpareSegment> {
        self.finish_task();
        self.ready.take()
    }

    fn finish_task(&mut self) {
        let Some(task) = self.task.take() else {
            return;
        };
        // If this failed, creating the segment fails too, which is reported.
        let made = task.wait().and_then(|made| made);
        let made = made.inspect_err(|failure| {
            log::debug!("server {}: {failure}", self.context.server.name);
        });
        self.ready = made.ok();
        if self.ready.is_some() && std::mem::take(&mut self.growing) {
            log::info!(
                "server {}: the disk has room for whole WAL segments again",
                self.context.server.name
            );
            let status = &self.context.status;
            status.update_receiver(|state| state.segments_grow_since = None);
        }
    }

    /// Records, and logs once, that there is no room for a whole segment.
    pub(super) fn has_no_room(&mut self, why: &Error) {
        if !std::mem::replace(&mut self.growing, true) {
            let (server, size) = (&self.context.server.name, self.directory.segment_size());
            let size = ByteSize(size.bytes());
            log::warn!(
                "server {server}: the disk has no room for a whole WAL segment of {size}: WAL is \
                 received to the last byte, into a file that grows: {why}; hint: make room on the \
                 file system of base_dir"
            );
            let status = &self.context.status;
            status.update_receiver(|state| state.segments_grow_since = Some(Instant::now()));
        }
    }

    /// Looks for room while segments grow. Does not wait.
    pub(super) fn poll(&mut self) {
        if !self.growing {
            return;
        }
        match &self.task {
            Some(task) if task.is_done() => self.finish_task(),
            Some(_) => {}
            None if self.may_have_room() => self.submit(),
            None => {}
        }
    }

    /// Whether there is room for a segment, and for as much WAL meanwhile; a quota is not seen.
    fn may_have_room(&self) -> bool {
        let needed = self.directory.segment_size().bytes().saturating_mul(2);
        let space = Filesystem::space(self.directory.path());
        space.is_ok_and(|space| !space.is_known() || space.free >= needed)
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // The next receiver removes spare files that it finds.
        if let Some(task) = self.task.take() {
            let _ = task.wait();
        }
    }
}
