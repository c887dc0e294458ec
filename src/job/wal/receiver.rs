//! The life of a receiver: it tries, it streams, it tries again.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use super::archive::Archive;
use super::lineage::Lineage;
use super::session::{Answers, Session, ask, ask_again, connect, tell};
use super::start::{Note, Start};
use super::stream::Stream;
use super::trouble::Trouble;
use crate::config::Server;
use crate::error::{Failure, Kind};
use crate::format::TimelineHistory;
use crate::job::context::Context;
use crate::pg::Replication;
use crate::repository::Repository;
use crate::status::{Phase, ReceiverState};
use crate::unit::{Lsn, Timeline};

/// The pauses between tries, in seconds; the last one stays.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 30];

/// How often to look in a pause whether somebody wants the next try at once.
const LOOK: Duration = Duration::from_millis(500);

/// How long a stream must have run for the pauses to begin anew.
const STABLE: Duration = Duration::from_secs(30);

/// Receives the WAL of a server until the daemon stops.
pub fn run(context: &Context, server: &Server) {
    let mut receiver = Receiver {
        context,
        server,
        archive: None,
        told: None,
        tries: 0,
        removed: None,
        noted: Vec::new(),
        streaming_since: None,
    };
    loop {
        let Err(trouble) = receiver.attempt();
        if !receiver.recover(trouble) {
            break;
        }
    }
    let board = &context.board;
    board.update_receiver(&server.name, |state| state.phase = Phase::Stopped);
}

/// Fails if the server did not send all WAL of a timeline that it ended.
fn check_end(timeline: Timeline, switch: Lsn, received: Lsn) -> Result<(), Trouble> {
    if received >= switch {
        return Ok(());
    }
    let message = format!(
        "the server ended timeline {timeline} at {switch}, and sent WAL of it up to {received} only"
    );
    Err(Trouble::Passing(Failure::new(Kind::Protocol, message)))
}

struct Receiver<'a> {
    context: &'a Context,
    server: &'a Server,
    archive: Option<Archive>,
    /// What the log has told and what is not over yet: whether it was an alarm, and what it was.
    told: Option<(bool, String)>,
    /// How many tries have failed in a row.
    tries: u32,
    /// Where the server said that it has removed the WAL.
    removed: Option<(Timeline, Lsn)>,
    /// What was told of a start last.
    noted: Vec<Note>,
    /// When the server gave the first sign of life in this stream.
    streaming_since: Option<Instant>,
}

impl Receiver<'_> {
    /// Connects and streams until something ends it.
    fn attempt(&mut self) -> Result<Infallible, Trouble> {
        self.context.stop.check()?;
        let (context, server) = (self.context, self.server);
        let repository = context.repository(&server.name);
        let repository = repository.map_err(Trouble::archive)?;
        self.archive = self
            .archive
            .take()
            .filter(|archive| archive.is_of(&repository));
        // An archive that is there is looked after even if the server cannot be reached.
        let bound = repository.system().map_err(Trouble::archive)?;
        let open = |size| {
            let board = &context.board;
            board.update_receiver(&server.name, ReceiverState::forget_archive);
            Archive::open(context, &server.name, &repository, size)
        };
        if let (None, Some(system)) = (&self.archive, bound) {
            self.archive = Some(open(system.segment_size).map_err(Trouble::archive)?);
        }
        self.archive.iter_mut().for_each(Archive::tend);
        let answers = ask(context, server, &repository)?;
        let mut archive = match self.archive.take() {
            Some(archive) => archive,
            None => open(answers.segment_size()).map_err(Trouble::archive)?,
        };
        let result = self.receive(&repository, &mut archive, answers);
        self.archive = Some(archive);
        result
    }

    /// Streams, from timeline to timeline.
    fn receive(
        &mut self,
        repository: &Repository,
        archive: &mut Archive,
        answers: Answers,
    ) -> Result<Infallible, Trouble> {
        let (context, server) = (self.context, self.server);
        let session = connect(context, server, repository, answers, archive, self.removed)?;
        let Session {
            mut connection,
            mut start,
            mut history,
            mut acknowledged,
        } = session;
        self.note(archive, &start);
        loop {
            let from = self.begin(repository, archive, &start, &history)?;
            let replication =
                Replication::start(connection, &server.wal_slot, start.timeline, from);
            let mut replication = self.watch(&start, replication.map_err(Trouble::from))?;
            let until = start.leave.map(|(_, at)| archive.segment_start(at));
            let board = &self.context.board;
            let stream = Stream::new(archive, &mut replication, (board, server), acknowledged);
            let result = stream.run(until, || self.is_streaming(from, start.timeline));
            if matches!(result, Err(Trouble::Stop)) {
                replication.leave();
                return Err(Trouble::Stop);
            }
            acknowledged = self.watch(&start, result)?;
            let (idle, next) = replication.finish()?;
            connection = idle;
            let Some((timeline, switch)) = start.leave.or(next) else {
                let message = "the server ended the timeline without naming the next one";
                return Err(Trouble::Passing(Failure::new(Kind::Protocol, message)));
            };
            // Behind the switch it was acknowledged for a timeline that is over.
            acknowledged = acknowledged.min(switch);
            if start.leave.is_none() {
                check_end(start.timeline, switch, archive.position())?;
            }
            archive.leave_timeline().map_err(Trouble::archive)?;
            let lineage = Lineage::fetch(&mut connection, timeline)?;
            lineage.check(archive.directory())?;
            lineage.store(&mut connection, archive.directory())?;
            if !history.contains(timeline) {
                history = lineage.into_history();
            }
            let name = &server.name;
            log::info!(
                "server {name}: timeline {} ends at {switch}",
                start.timeline
            );
            // A standby may be a primary now.
            ask_again(context, server)?;
            start = Start {
                timeline,
                position: archive.segment_start(switch),
                leave: None,
                notes: Vec::new(),
            };
        }
    }

    /// Tells what is to be known about a start, once.
    fn note(&mut self, archive: &mut Archive, start: &Start) {
        if start
            .notes
            .iter()
            .any(|note| matches!(note, Note::Gap { .. }))
        {
            archive.expect_gap();
        }
        for note in &start.notes {
            if !self.noted.contains(note) {
                tell(self.server, *note);
            }
        }
        if !start.notes.is_empty() {
            self.noted.clone_from(&start.notes);
        }
    }

    /// Gets the archive ready, and notes which timeline it follows; from where to ask for WAL.
    fn begin(
        &self,
        repository: &Repository,
        archive: &mut Archive,
        start: &Start,
        history: &TimelineHistory,
    ) -> Result<Lsn, Trouble> {
        let followed = repository.follow_timeline(start.timeline);
        followed.map_err(Trouble::archive)?;
        let left = history.end_of(start.timeline);
        let from = archive
            .begin(start.timeline, start.position, left)
            .map_err(Trouble::archive)?;
        let durable = archive.durable().get();
        let begins = history.begin_of(start.timeline).unwrap_or(Lsn::ZERO);
        let board = &self.context.board;
        board.update_receiver(&self.server.name, |state| {
            if state.timeline != Some(start.timeline) {
                // What was received of another timeline counts up to where this one begins.
                state.flushed = state.flushed.min(begins);
                state.timeline = Some(start.timeline);
            }
            state.flushed = state.flushed.max(durable);
        });
        Ok(from)
    }

    /// Remembers where the server has no WAL any more.
    fn watch<T>(&mut self, start: &Start, result: Result<T, Trouble>) -> Result<T, Trouble> {
        if let Err(trouble) = &result
            && trouble.is_removed()
        {
            self.removed = Some((start.timeline, start.position));
        }
        result
    }

    /// WAL arrives, or would if there were any.
    fn is_streaming(&mut self, from: Lsn, timeline: Timeline) {
        self.streaming_since.get_or_insert_with(Instant::now);
        let name = &self.server.name;
        let again = if self.told.take().is_some() {
            " again"
        } else {
            ""
        };
        log::info!("server {name}: streaming WAL{again}, from {from} on timeline {timeline}");
        let board = &self.context.board;
        board.update_receiver(name, |state| state.phase = Phase::Streaming);
    }

    /// Tells of trouble, once, and pauses; `false` if the daemon stops.
    fn recover(&mut self, trouble: Trouble) -> bool {
        let since = self.streaming_since.take();
        if since.is_some_and(|since| since.elapsed() >= STABLE) {
            self.tries = 0;
        }
        let pause = usize::try_from(self.tries)
            .ok()
            .and_then(|tries| PAUSES.get(tries));
        let pause = Duration::from_secs(pause.or(PAUSES.last()).copied().unwrap_or(1));
        self.tries = self.tries.saturating_add(1);
        match trouble.after(self.tries) {
            Trouble::Stop => return false,
            Trouble::Passing(failure) => self.tell_passing(&failure),
            Trouble::Lasting(failure) => self.tell_lasting(&failure),
        }
        self.pause(pause)
    }

    /// Pauses before the next try, not any longer than until somebody wants it; `false` if the daemon stops.
    fn pause(&mut self, pause: Duration) -> bool {
        let (board, name) = (&self.context.board, &self.server.name);
        let until = Instant::now() + pause;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if self.context.stop.pause(left.min(LOOK)).is_err() {
                return false;
            }
            if board.receiver(name).hurry {
                board.update_receiver(name, |state| state.hurry = false);
                self.tries = 0;
                return true;
            }
        }
    }

    fn tell_passing(&mut self, failure: &Failure) {
        let name = &self.server.name;
        let board = &self.context.board;
        board.update_receiver(name, |state| {
            state.phase = Phase::Reconnecting(failure.told());
        });
        if self.told.is_some() {
            log::debug!("server {name}: {failure}");
        } else {
            let text = failure.told();
            log::warn!("server {name}: no WAL is received, trying again until it works: {text}");
            self.told = Some((false, String::new()));
        }
    }

    fn tell_lasting(&mut self, failure: &Failure) {
        let name = &self.server.name;
        let text = failure.told();
        let board = &self.context.board;
        board.update_receiver(name, |state| state.phase = Phase::Alarm(text.clone()));
        // The texts of one trouble differ in process numbers and positions.
        let what = failure.code().unwrap_or(failure.message()).to_owned();
        let told = Some((true, what));
        if self.told == told {
            log::debug!("server {name}: {failure}");
        } else {
            log::error!("server {name}: no WAL is received: {text}");
            self.told = told;
        }
    }
}
