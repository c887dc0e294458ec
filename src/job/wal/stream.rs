//! One replication stream: from the first message to its end.

use std::time::{Duration, Instant};

use super::archive::ArchiveWriter;
use super::error::ReceiveError;
use crate::error::{Error, ErrorKind};
use crate::job::context::ServerContext;
use crate::pg::{Event, Replication};
use crate::storage::no_durable_position;
use crate::unit::{Lsn, to_u64};

/// The longest time between two status updates; the server ends a connection that is silent for
/// `wal_sender_timeout` (60 s by default).
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The longest time that received WAL waits for a sync while more arrives.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// A running replication stream.
pub(super) struct Stream<'a> {
    archive: &'a mut ArchiveWriter,
    replication: &'a mut Replication,
    context: &'a ServerContext,
    /// Lower positions are not reported: WAL below it was acknowledged before and is received
    /// again.
    acknowledged: Lsn,
    /// Where to end this timeline, if not where the server ends it.
    until: Option<Lsn>,
    /// There was no room for WAL from here on before: the stream runs once more was written, or the
    /// server has no more.
    stalled_at: Lsn,
    timers: Timers,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        archive: &'a mut ArchiveWriter,
        replication: &'a mut Replication,
        context: &'a ServerContext,
        (acknowledged, stalled_at): (Lsn, Lsn),
    ) -> Stream<'a> {
        Stream {
            archive,
            replication,
            context,
            acknowledged,
            until: None,
            stalled_at,
            timers: Timers::start(context.server.wal_receiver_timeout.duration()),
        }
    }

    /// Receives until the timeline ends, or until all WAL before `until` is received. Returns the
    /// acknowledged position. Calls `on_begin` once, when WAL arrives or there is none.
    pub(super) fn run(
        mut self,
        until: Option<Lsn>,
        on_begin: impl FnOnce(),
    ) -> Result<Lsn, ReceiveError> {
        self.until = until;
        let mut on_begin = Some(on_begin);
        let result = self.report(true);
        let result = result.and_then(|()| {
            while self.step(&mut || on_begin.take().into_iter().for_each(|call| call()))? {}
            Ok(())
        });
        // Whatever ends the stream, received WAL is synced, and reported if the connection still
        // works.
        let synced = self.archive.sync().map_err(ReceiveError::archive);
        self.publish();
        match result {
            Ok(()) => {
                synced?;
                self.report(false)?;
                Ok(self.acknowledged)
            }
            Err(ReceiveError::Stopped) => {
                if let Err(
                    ReceiveError::Transient(failure) | ReceiveError::NeedsOperator(failure),
                ) = synced.and_then(|()| self.report(false))
                {
                    log::warn!("server {}: {failure}", self.context.server.name);
                }
                Err(ReceiveError::Stopped)
            }
            Err(ReceiveError::NeedsOperator(failure)) => {
                // The server need not keep what is durable while there is no room for more.
                let full = failure.kind() == ErrorKind::NoSpace;
                if full && self.archive.durable().get() > self.acknowledged {
                    // If this fails it is reported with the next connection.
                    let _ = self.report(false);
                }
                Err(ReceiveError::NeedsOperator(failure))
            }
            // A failed sync needs an operator, a broken connection does not.
            Err(ReceiveError::Transient(failure)) => {
                Err(synced.err().unwrap_or(ReceiveError::Transient(failure)))
            }
        }
    }

    /// Handles one message or one timeout. Returns whether to continue.
    fn step(&mut self, on_begin: &mut impl FnMut()) -> Result<bool, ReceiveError> {
        let mut reply_requested = false;
        let mut continues = true;
        let event = self.replication.next(self.timers.next_timeout())?;
        if event != Event::Timeout {
            self.timers.received();
        }
        let server_end = match event {
            Event::Wal {
                start,
                server_end,
                bytes,
            } => {
                self.archive
                    .write(start, bytes)
                    .map_err(ReceiveError::archive)?;
                let end = start.advance(to_u64(bytes.len()));
                continues = self.until.is_none_or(|until| end < until);
                self.timers.written();
                Some((server_end.max(end), Some(end)))
            }
            Event::Keepalive {
                server_end,
                reply_requested: requested,
            } => {
                reply_requested = requested;
                Some((server_end, None))
            }
            Event::Timeout => None,
            Event::EndOfTimeline => {
                on_begin();
                continues = false;
                None
            }
        };
        if let Some((server_end, received)) = server_end {
            self.context.status.update_receiver(|state| {
                state.received = received.unwrap_or(state.received);
                state.heard(server_end, Instant::now());
            });
            let position = self.archive.position();
            if position > self.stalled_at || position >= server_end {
                on_begin();
            }
        }
        self.sync_and_report(reply_requested)?;
        Ok(continues)
    }

    /// Syncs and sends a status update where one is due.
    fn sync_and_report(&mut self, reply_requested: bool) -> Result<(), ReceiveError> {
        if self.archive.is_dirty() {
            if reply_requested || self.timers.sync_is_due() || !self.replication.has_more()? {
                self.archive.sync().map_err(ReceiveError::archive)?;
                self.timers.synced();
                // The server first: its clients may wait for synchronous commit.
                let reported = self.report(false);
                self.publish();
                return reported;
            }
        } else {
            self.timers.synced();
            if self.archive.durable().get() > self.acknowledged {
                // The message completed a segment, which was synced then.
                let reported = self.report(false);
                self.publish();
                return reported;
            }
        }
        if self.timers.is_timed_out() {
            let timeout = self.context.server.wal_receiver_timeout;
            let message = format!("the server sent nothing for {timeout}");
            return Err(ReceiveError::Transient(Error::new(
                ErrorKind::Timeout,
                message,
            )));
        }
        if self.timers.should_request_reply() {
            self.timers.requested();
            self.report(true)?;
        } else if reply_requested || self.timers.report_is_due() {
            self.archive.check_open().map_err(ReceiveError::archive)?;
            self.archive.poll();
            // A server without new WAL says nothing by itself; its answer shows that it is there,
            // and that nothing is missing here.
            self.report(self.timers.is_silent())?;
        }
        Ok(())
    }

    /// Reports the flushed position. While that is below what was acknowledged before, it reports
    /// none.
    fn report(&mut self, reply_requested: bool) -> Result<(), ReceiveError> {
        let mut durable = self.archive.durable();
        if durable.get() < self.acknowledged {
            durable = no_durable_position();
        } else {
            self.acknowledged = durable.get();
        }
        self.replication
            .send_status_update(durable, reply_requested)?;
        self.timers.reported();
        Ok(())
    }

    /// Publishes the flushed position in the status; it never goes back.
    fn publish(&self) {
        let flushed = self.archive.durable().get();
        let status = &self.context.status;
        status.update_receiver(|state| state.is_durable(flushed));
    }
}

/// When to sync, report, request a reply or give up.
struct Timers {
    timeout: Option<Duration>,
    received: Instant,
    requested: bool,
    reported: Instant,
    dirty_since: Option<Instant>,
}

impl Timers {
    /// A timeout of 0 disables the check.
    fn start(timeout: Duration) -> Timers {
        let now = Instant::now();
        Timers {
            timeout: (!timeout.is_zero()).then_some(timeout),
            received: now,
            requested: true,
            reported: now,
            dirty_since: None,
        }
    }

    fn received(&mut self) {
        self.received = Instant::now();
        self.requested = false;
    }

    fn requested(&mut self) {
        self.requested = true;
    }

    fn reported(&mut self) {
        self.reported = Instant::now();
    }

    fn written(&mut self) {
        self.dirty_since.get_or_insert_with(Instant::now);
    }

    fn synced(&mut self) {
        self.dirty_since = None;
    }

    fn sync_is_due(&self) -> bool {
        self.dirty_since
            .is_some_and(|since| since.elapsed() >= SYNC_INTERVAL)
    }

    fn report_is_due(&self) -> bool {
        self.reported.elapsed() >= REPORT_INTERVAL
    }

    /// Whether the server has said nothing for some time.
    fn is_silent(&self) -> bool {
        self.received.elapsed() >= REPORT_INTERVAL / 2
    }

    /// Whether half of the timeout has passed without a message.
    fn should_request_reply(&self) -> bool {
        let half = self.timeout.map(|timeout| timeout / 2);
        !self.requested && half.is_some_and(|half| self.received.elapsed() >= half)
    }

    fn is_timed_out(&self) -> bool {
        self.timeout
            .is_some_and(|timeout| self.received.elapsed() >= timeout)
    }

    /// How long to wait for a message until the next action is due.
    fn next_timeout(&self) -> Duration {
        let silence_limit = self
            .timeout
            .map(|timeout| if self.requested { timeout } else { timeout / 2 });
        let due = [
            Some(self.reported + REPORT_INTERVAL),
            silence_limit.map(|silence_limit| self.received + silence_limit),
            self.dirty_since.map(|since| since + SYNC_INTERVAL),
        ];
        let now = Instant::now();
        let next = due.into_iter().flatten().min().unwrap_or(now);
        // One millisecond more, so that the action is due afterwards.
        next.saturating_duration_since(now) + Duration::from_millis(1)
    }
}
