//! One running replication: from the first message to what ends it.

use std::time::{Duration, Instant};

use super::archive::Archive;
use super::trouble::Trouble;
use crate::config::Server;
use crate::error::{Failure, Kind};
use crate::pg::{Event, Replication};
use crate::status::Board;
use crate::storage::nothing_durable;
use crate::unit::Lsn;

/// The longest time without a report to the server, which ends a connection that is silent for `wal_sender_timeout`
/// (60 s by default).
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// The longest time that bytes wait for a sync while more arrive without a pause.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// One running replication.
pub(super) struct Stream<'a> {
    archive: &'a mut Archive,
    replication: &'a mut Replication,
    board: &'a Board,
    server: &'a Server,
    /// Nothing below it is reported: it was acknowledged before, and is only received again.
    acknowledged: Lsn,
    /// Nothing from here on is wanted of this timeline.
    until: Option<Lsn>,
    clock: Clock,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        archive: &'a mut Archive,
        replication: &'a mut Replication,
        (board, server): (&'a Board, &'a Server),
        acknowledged: Lsn,
    ) -> Stream<'a> {
        Stream {
            archive,
            replication,
            board,
            server,
            acknowledged,
            until: None,
            clock: Clock::start(server.wal_receiver_timeout.duration()),
        }
    }

    /// Receives until the timeline ends, or until all before `until` is there; up to where WAL is acknowledged then. Calls
    /// `first` with the first sign of life.
    pub(super) fn run(mut self, until: Option<Lsn>, first: impl FnOnce()) -> Result<Lsn, Trouble> {
        self.until = until;
        let mut first = Some(first);
        let result = self.report(true);
        let result = result.and_then(|()| {
            while self.step(&mut || first.take().into_iter().for_each(|first| first()))? {}
            Ok(())
        });
        // What ends the stream does not undo what was received: it is synced, and reported if there is still somebody.
        let synced = self.archive.sync().map_err(Trouble::archive);
        self.publish();
        match result {
            Ok(()) => {
                synced?;
                self.report(false)?;
                Ok(self.acknowledged)
            }
            Err(Trouble::Stop) => {
                if let Err(Trouble::Passing(failure) | Trouble::Lasting(failure)) =
                    synced.and_then(|()| self.report(false))
                {
                    log::warn!("server {}: {failure}", self.server.name);
                }
                Err(Trouble::Stop)
            }
            // A sync that fails now too calls for a person, a broken connection does not.
            Err(Trouble::Passing(failure)) => {
                Err(synced.err().unwrap_or(Trouble::Passing(failure)))
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// One message, or one wait without any; whether to go on.
    fn step(&mut self, heard: &mut impl FnMut()) -> Result<bool, Trouble> {
        let mut asked = false;
        let mut goes_on = true;
        let event = self.replication.next(self.clock.patience())?;
        if event != Event::Quiet {
            self.clock.heard();
            heard();
        }
        let server_end = match event {
            Event::Wal {
                start,
                server_end,
                bytes,
            } => {
                self.archive.write(start, bytes).map_err(Trouble::archive)?;
                let end = start.advance(u64::try_from(bytes.len()).unwrap_or(0));
                goes_on = self.until.is_none_or(|until| end < until);
                self.clock.wrote();
                Some((server_end.max(end), Some(end)))
            }
            Event::Keepalive {
                server_end,
                reply_requested,
            } => {
                asked = reply_requested;
                Some((server_end, None))
            }
            Event::Quiet => None,
            Event::EndOfTimeline => {
                goes_on = false;
                None
            }
        };
        if let Some((server_end, received)) = server_end {
            self.board.update_receiver(&self.server.name, |state| {
                state.server_end = server_end;
                state.received = received.unwrap_or(state.received);
                state.heard = Some(Instant::now());
            });
        }
        self.answer(asked)?;
        Ok(goes_on)
    }

    /// Syncs and reports, where it is time for it.
    fn answer(&mut self, asked: bool) -> Result<(), Trouble> {
        if self.archive.is_dirty() {
            if asked || self.clock.sync_is_due() || !self.replication.has_more()? {
                self.archive.sync().map_err(Trouble::archive)?;
                self.clock.synced();
                // First the server, for which clients may wait.
                let reported = self.report(false);
                self.publish();
                return reported;
            }
        } else {
            self.clock.synced();
            if self.archive.durable().get() > self.acknowledged {
                // A segment ended with the message, and was synced as it did.
                let reported = self.report(false);
                self.publish();
                return reported;
            }
        }
        if self.clock.is_dead() {
            let timeout = self.server.wal_receiver_timeout;
            let message = format!("the server gave no sign of life for {timeout}");
            return Err(Trouble::Passing(Failure::new(Kind::Timeout, message)));
        }
        if self.clock.should_ask() {
            self.clock.asked();
            self.report(true)?;
        } else if asked || self.clock.report_is_due() {
            self.archive.check_open().map_err(Trouble::archive)?;
            self.archive.tend();
            self.report(false)?;
        }
        Ok(())
    }

    /// Reports what is on stable storage. As long as that is less than what was acknowledged before, it reports no position
    /// at all.
    fn report(&mut self, reply_requested: bool) -> Result<(), Trouble> {
        let mut durable = self.archive.durable();
        if durable.get() < self.acknowledged {
            durable = nothing_durable();
        } else {
            self.acknowledged = durable.get();
        }
        self.replication.acknowledge(durable, reply_requested)?;
        self.clock.reported();
        Ok(())
    }

    /// Puts on the board what is on stable storage; what was there once stays.
    fn publish(&self) {
        let flushed = self.archive.durable().get();
        self.board.update_receiver(&self.server.name, |state| {
            state.flushed = state.flushed.max(flushed);
        });
    }
}

/// What is due when.
struct Clock {
    timeout: Option<Duration>,
    heard: Instant,
    asked: bool,
    reported: Instant,
    dirty_since: Option<Instant>,
}

impl Clock {
    /// A timeout of 0 means that the server may be silent for ever.
    fn start(timeout: Duration) -> Clock {
        let now = Instant::now();
        Clock {
            timeout: (!timeout.is_zero()).then_some(timeout),
            heard: now,
            asked: true,
            reported: now,
            dirty_since: None,
        }
    }

    fn heard(&mut self) {
        self.heard = Instant::now();
        self.asked = false;
    }

    fn asked(&mut self) {
        self.asked = true;
    }

    fn reported(&mut self) {
        self.reported = Instant::now();
    }

    fn wrote(&mut self) {
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

    /// Whether half of the timeout has passed without a sign of life.
    fn should_ask(&self) -> bool {
        let half = self.timeout.map(|timeout| timeout / 2);
        !self.asked && half.is_some_and(|half| self.heard.elapsed() >= half)
    }

    fn is_dead(&self) -> bool {
        self.timeout
            .is_some_and(|timeout| self.heard.elapsed() >= timeout)
    }

    /// How long to wait for a message before something is due.
    fn patience(&self) -> Duration {
        let alive = self
            .timeout
            .map(|timeout| if self.asked { timeout } else { timeout / 2 });
        let due = [
            Some(self.reported + REPORT_INTERVAL),
            alive.map(|alive| self.heard + alive),
            self.dirty_since.map(|since| since + SYNC_INTERVAL),
        ];
        let now = Instant::now();
        let next = due.into_iter().flatten().min().unwrap_or(now);
        // A little more, so that what is waited for is due for sure afterwards.
        next.saturating_duration_since(now) + Duration::from_millis(1)
    }
}
