//! The loop of a receiver: connect, stream, retry.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use super::archive::ArchiveWriter;
use super::error::ReceiveError;
use super::server_history::ServerHistory;
use super::session::{
    ServerProbe, Session, connect, probe_server, refresh_server_info, report_notice,
};
use super::start::{Start, StartNotice};
use super::stream::Stream;
use crate::error::{Error, ErrorKind};
use crate::format::TimelineHistory;
use crate::job::context::ServerContext;
use crate::pg::Replication;
use crate::repository::Repository;
use crate::status::{Phase, ReceiverState};
use crate::unit::{Lsn, Timeline, WalPosition};

/// The delays between attempts, in seconds; the last one repeats.
const RETRY_DELAYS: [u64; 6] = [1, 2, 4, 8, 16, 30];

/// How often a delay checks for a request to retry now.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// How long a stream must run before the delays start from the first again.
const STABLE_AFTER: Duration = Duration::from_secs(30);

/// Receives the WAL of a server until it is stopped. Then nothing writes to the archive any more.
pub fn run(context: &ServerContext) {
    context
        .status
        .update_receiver(|state| state.phase = Phase::Starting);
    let mut receiver = Receiver {
        context,
        archive: None,
        last_reported: None,
        no_space_reported: None,
        stalled_at: Lsn::ZERO,
        failed_attempts: 0,
        removed: None,
        last_notices: Vec::new(),
        streaming_since: None,
    };
    loop {
        let Err(error) = receiver.attempt();
        if !receiver.handle_error(error) {
            break;
        }
    }
    drop(receiver);
    context
        .status
        .update_receiver(|state| state.phase = Phase::Stopped);
}

/// Fails if the server did not send all WAL of a timeline that it ended.
fn check_end(timeline: Timeline, switch: Lsn, received: Lsn) -> Result<(), ReceiveError> {
    if received >= switch {
        return Ok(());
    }
    let message = format!(
        "the server ended timeline {timeline} at {switch}, and sent WAL of it up to {received} only"
    );
    Err(ReceiveError::Transient(Error::new(
        ErrorKind::Protocol,
        message,
    )))
}

struct Receiver<'a> {
    context: &'a ServerContext,
    archive: Option<ArchiveWriter>,
    /// The error that the log reported last and that persists: whether it was an alarm, and its
    /// code or message.
    last_reported: Option<(bool, String)>,
    /// Since when there was no room for whole segments when the log reported last that there is no
    /// space.
    no_space_reported: Option<Instant>,
    /// From where on there was no room for WAL, unless more was received since.
    stalled_at: Lsn,
    /// How many attempts have failed in a row.
    failed_attempts: u32,
    /// Where the server reported that its WAL was removed.
    removed: Option<WalPosition>,
    /// The notices that were logged for the last start.
    last_notices: Vec<StartNotice>,
    /// When the first message of this stream arrived.
    streaming_since: Option<Instant>,
}

impl Receiver<'_> {
    /// Connects and streams until an error ends it.
    fn attempt(&mut self) -> Result<Infallible, ReceiveError> {
        self.context.stop.check()?;
        let context = self.context;
        let repository = context.repository();
        let repository = repository.map_err(ReceiveError::archive)?;
        self.archive = self
            .archive
            .take()
            .filter(|archive| archive.belongs_to(&repository));
        // Sealing continues while the server cannot be reached.
        let bound = repository.system().map_err(ReceiveError::archive)?;
        let open = |size| {
            context.status.update_receiver(ReceiverState::reset_archive);
            ArchiveWriter::open(context, &repository, size)
        };
        if let (None, Some(system)) = (&self.archive, bound) {
            self.archive = Some(open(system.segment_size).map_err(ReceiveError::archive)?);
        }
        self.archive.iter_mut().for_each(ArchiveWriter::poll);
        let probe = probe_server(context, &repository)?;
        let mut archive = match self.archive.take() {
            Some(archive) => archive,
            None => open(probe.segment_size()).map_err(ReceiveError::archive)?,
        };
        let result = self.receive(&repository, &mut archive, probe);
        self.archive = Some(archive);
        result
    }

    /// Streams WAL and follows the server to the next timelines.
    fn receive(
        &mut self,
        repository: &Repository,
        archive: &mut ArchiveWriter,
        probe: ServerProbe,
    ) -> Result<Infallible, ReceiveError> {
        let context = self.context;
        let session = connect(context, repository, probe, archive, self.removed)?;
        let Session {
            mut connection,
            mut start,
            mut history,
            mut acknowledged,
        } = session;
        self.report_notices(archive, &start);
        loop {
            let from = self.begin(repository, archive, &start, &history)?;
            let replication =
                Replication::start(connection, &context.server.wal_slot, start.timeline, from);
            let mut replication =
                self.record_removed(&start, replication.map_err(ReceiveError::from))?;
            let until = start.leave.map(|leave| archive.segment_start(leave.lsn));
            let positions = (acknowledged, self.stalled_at);
            let stream = Stream::new(archive, &mut replication, self.context, positions);
            let result = stream.run(until, || self.is_streaming(from, start.timeline));
            if matches!(result, Err(ReceiveError::Stopped)) {
                replication.close();
                return Err(ReceiveError::Stopped);
            }
            acknowledged = self.record_removed(&start, result)?;
            let (idle, next) = replication.finish()?;
            connection = idle;
            let Some(next) = start.leave.or(next) else {
                let message = "the server ended the timeline without naming the next one";
                return Err(ReceiveError::Transient(Error::new(
                    ErrorKind::Protocol,
                    message,
                )));
            };
            let (timeline, switch) = (next.timeline, next.lsn);
            // A position after the switch belongs to the timeline that has ended.
            acknowledged = acknowledged.min(switch);
            if start.leave.is_none() {
                check_end(start.timeline, switch, archive.position())?;
            }
            archive.leave_timeline().map_err(ReceiveError::archive)?;
            let server_history = ServerHistory::fetch(&mut connection, timeline)?;
            server_history.check(archive.directory())?;
            server_history.store(&mut connection, archive.directory())?;
            if !history.contains(timeline) {
                history = server_history.into_history();
            }
            let name = &context.server.name;
            log::info!(
                "server {name}: timeline {} ends at {switch}",
                start.timeline
            );
            // A standby may have been promoted.
            refresh_server_info(context)?;
            start = Start {
                timeline,
                position: archive.segment_start(switch),
                leave: None,
                notices: Vec::new(),
            };
        }
    }

    /// Logs the notices of a start that were not logged before.
    fn report_notices(&mut self, archive: &mut ArchiveWriter, start: &Start) {
        if start
            .notices
            .iter()
            .any(|notice| matches!(notice, StartNotice::Gap { .. }))
        {
            archive.expect_gap();
        }
        for notice in &start.notices {
            if !self.last_notices.contains(notice) {
                report_notice(&self.context.server, *notice);
            }
        }
        if !start.notices.is_empty() {
            self.last_notices.clone_from(&start.notices);
        }
    }

    /// Prepares the archive and records the timeline that it follows. Returns the position to
    /// request WAL from.
    fn begin(
        &self,
        repository: &Repository,
        archive: &mut ArchiveWriter,
        start: &Start,
        history: &TimelineHistory,
    ) -> Result<Lsn, ReceiveError> {
        let followed = repository.set_followed_timeline(start.timeline);
        followed.map_err(ReceiveError::archive)?;
        let left = history.end_of(start.timeline);
        let from = archive
            .begin(start.timeline, start.position, left)
            .map_err(ReceiveError::archive)?;
        let durable = archive.durable().get();
        let begins = history.begin_of(start.timeline).unwrap_or(Lsn::ZERO);
        self.context.status.update_receiver(|state| {
            if state.timeline != Some(start.timeline) {
                // WAL of another timeline counts only up to the start of this one.
                state.flushed = state.flushed.min(begins);
                state.timeline = Some(start.timeline);
                state.awaited = None;
            }
            state.is_durable(durable);
        });
        Ok(from)
    }

    /// Records where the server reported that its WAL was removed.
    fn record_removed<T>(
        &mut self,
        start: &Start,
        result: Result<T, ReceiveError>,
    ) -> Result<T, ReceiveError> {
        if let Err(error) = &result
            && error.is_file_removed()
        {
            self.removed = Some(start.timeline.at(start.position));
        }
        result
    }

    /// Reports that streaming has begun. While the disk has no room for a whole segment, it may
    /// stop again after every few bytes: the log then reports the end of that.
    fn is_streaming(&mut self, from: Lsn, timeline: Timeline) {
        self.streaming_since.get_or_insert_with(Instant::now);
        self.stalled_at = Lsn::ZERO;
        let name = &self.context.server.name;
        let again = if self.last_reported.take().is_some() {
            " again"
        } else {
            ""
        };
        let since = self.context.status.receiver().segments_grow_since;
        let level = if since.is_some() && self.no_space_reported == since {
            log::Level::Debug
        } else {
            log::Level::Info
        };
        log::log!(
            level,
            "server {name}: streaming WAL{again}, from {from} on timeline {timeline}"
        );
        self.context.status.update_receiver(|state| {
            (state.phase, state.no_space) = (Phase::Streaming, false);
        });
    }

    /// Reports an error once and waits before the next attempt; `false` if the daemon stops.
    fn handle_error(&mut self, error: ReceiveError) -> bool {
        let since = self.streaming_since.take();
        if since.is_some_and(|since| since.elapsed() >= STABLE_AFTER) {
            self.failed_attempts = 0;
        }
        let pause = usize::try_from(self.failed_attempts)
            .ok()
            .and_then(|attempts| RETRY_DELAYS.get(attempts));
        let pause = Duration::from_secs(pause.or(RETRY_DELAYS.last()).copied().unwrap_or(1));
        self.failed_attempts = self.failed_attempts.saturating_add(1);
        match error.escalate(self.failed_attempts) {
            ReceiveError::Stopped => return false,
            ReceiveError::Transient(failure) => self.report_transient(&failure),
            ReceiveError::NeedsOperator(failure) => self.report_needs_operator(&failure),
        }
        self.pause(pause)
    }

    /// Waits before the next attempt, or until one is requested; `false` if the daemon stops.
    fn pause(&mut self, pause: Duration) -> bool {
        let status = &self.context.status;
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if self.context.stop.pause(left.min(POLL_INTERVAL)).is_err() {
                return false;
            }
            if status.receiver().reconnect_now {
                status.update_receiver(|state| state.reconnect_now = false);
                self.failed_attempts = 0;
                return true;
            }
        }
    }

    fn report_transient(&mut self, failure: &Error) {
        let name = &self.context.server.name;
        self.context.status.update_receiver(|state| {
            state.phase = Phase::Reconnecting(failure.message_with_hint());
            state.no_space = false;
        });
        if self.last_reported.is_some() {
            log::debug!("server {name}: {failure}");
        } else {
            let text = failure.message_with_hint();
            log::warn!("server {name}: no WAL is received, retrying: {text}");
            self.last_reported = Some((false, String::new()));
        }
    }

    fn report_needs_operator(&mut self, failure: &Error) {
        let name = &self.context.server.name;
        let text = failure.message_with_hint();
        self.context.status.update_receiver(|state| {
            state.phase = Phase::Alarm(text.clone());
            state.no_space = failure.kind() == ErrorKind::NoSpace;
        });
        // Messages of the same error differ in process IDs and positions.
        let identity = failure.code().unwrap_or(failure.message()).to_owned();
        let current = Some((true, identity));
        let stalled = failure.kind() == ErrorKind::NoSpace && self.is_stalled();
        let known = stalled || self.last_reported == current;
        if known {
            log::debug!("server {name}: {failure}");
        } else {
            log::error!("server {name}: no WAL is received: {text}");
        }
        self.last_reported = current;
    }

    /// Records that there is no room for more WAL; returns whether the log has reported it since
    /// there was room for a whole segment.
    fn is_stalled(&mut self) -> bool {
        let position = self.archive.as_ref().map(ArchiveWriter::position);
        self.stalled_at = self.stalled_at.max(position.unwrap_or(Lsn::ZERO));
        let since = self.context.status.receiver().segments_grow_since;
        let known = since.is_some() && self.no_space_reported == since;
        self.no_space_reported = since;
        known
    }
}
