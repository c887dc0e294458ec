//! The gate and the notice board.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Phase, Progress, ReceiverState};
use crate::error::{Failure, Kind, Result};
use crate::unit::{Lsn, ServerName, Timeline};

/// An operation on the backups of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// Takes a backup. One at a time.
    Backup,
    /// Writes a backup elsewhere. Any number at a time.
    Restore,
    /// Reads a backup. Any number at a time.
    Verify,
}

impl Activity {
    /// Whether it may run beside `other` on the same server. Readers never disturb: a backup becomes visible when it
    /// is complete, and is immutable from then on.
    fn goes_with(self, other: Activity) -> bool {
        !(self == Activity::Backup && other == Activity::Backup)
    }
}

#[derive(Default)]
struct Notes {
    receiver: ReceiverState,
    running: BTreeMap<u64, (Activity, Arc<Progress>)>,
}

#[derive(Default)]
struct Contents {
    /// The number of the operation that began last.
    last: u64,
    /// How many threads wait for a change of a receiver.
    waiting: usize,
    servers: BTreeMap<ServerName, Notes>,
}

/// The shared state of all servers.
#[derive(Default)]
pub struct Board {
    contents: Mutex<Contents>,
    changed: Condvar,
}

/// The right to run one operation; given back when it is dropped, also by a panic.
pub struct Guard {
    board: Arc<Board>,
    server: ServerName,
    number: u64,
    progress: Arc<Progress>,
}

impl Guard {
    /// Where the operation says how far it has come.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut notes = self.board.lock();
        if let Some(notes) = notes.servers.get_mut(&self.server) {
            notes.running.remove(&self.number);
        }
    }
}

impl Board {
    /// A board on which nothing stands yet.
    pub fn new() -> Arc<Board> {
        Arc::default()
    }

    /// Begins an operation; [`Kind::Busy`] if one that it does not go with is running for the server.
    pub fn begin(self: &Arc<Board>, server: &ServerName, activity: Activity) -> Result<Guard> {
        let mut notes = self.lock();
        notes.last += 1;
        let number = notes.last;
        let running = &mut notes.servers.entry(server.clone()).or_default().running;
        if let Some((other, _)) = running
            .values()
            .find(|(other, _)| !activity.goes_with(*other))
        {
            let other = format!("{other:?}").to_lowercase();
            return Err(Failure::new(
                Kind::Busy,
                format!("a {other} of server {server} is running already"),
            )
            .hint("`pgmoneta-cli status` shows what is running"));
        }
        let progress = Arc::new(Progress::new());
        running.insert(number, (activity, progress.clone()));
        Ok(Guard {
            board: self.clone(),
            server: server.clone(),
            number,
            progress,
        })
    }

    /// What is running for a server, oldest first.
    pub fn running(&self, server: &ServerName) -> Vec<(Activity, Arc<Progress>)> {
        let notes = self.lock();
        notes
            .servers
            .get(server)
            .map(|notes| notes.running.values().cloned().collect())
            .unwrap_or_default()
    }

    /// What the receiver of a server is doing.
    pub fn receiver(&self, server: &ServerName) -> ReceiverState {
        self.lock()
            .servers
            .get(server)
            .map(|notes| notes.receiver.clone())
            .unwrap_or_default()
    }

    /// Changes what is known of a receiver, and wakes those who wait for it.
    pub fn update_receiver(&self, server: &ServerName, change: impl FnOnce(&mut ReceiverState)) {
        let mut notes = self.lock();
        match notes.servers.get_mut(server) {
            Some(notes) => change(&mut notes.receiver),
            None => change(&mut notes.servers.entry(server.clone()).or_default().receiver),
        }
        // Waking nobody costs a system call too, and this is called for every message of the WAL stream.
        if notes.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Waits until the WAL archive of a server is durable up to `position` of `timeline` or a later timeline;
    /// [`Kind::Timeout`] after `timeout`. `interrupted` is asked several times a second and ends the wait.
    pub fn wait_flushed(
        &self,
        server: &ServerName,
        (timeline, position): (Timeline, Lsn),
        timeout: Duration,
        interrupted: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let reached =
            |state: &ReceiverState| state.timeline >= Some(timeline) && state.flushed >= position;
        if self.wait_receiver(server, timeout, interrupted, reached)? {
            return Ok(());
        }
        Err(Board::not_flushed(&self.receiver(server), position))
    }

    /// Waits until what is known of a receiver is as `until` wants it; `false` if it is not within `timeout`.
    /// `interrupted` is asked several times a second and ends the wait.
    pub fn wait_receiver(
        &self,
        server: &ServerName,
        timeout: Duration,
        interrupted: impl Fn() -> Result<()>,
        until: impl Fn(&ReceiverState) -> bool,
    ) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        let mut notes = self.lock();
        loop {
            if until(&notes.servers.entry(server.clone()).or_default().receiver) {
                return Ok(true);
            }
            interrupted()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let slice = left.min(Duration::from_millis(200));
            notes.waiting += 1;
            let waited = self.changed.wait_timeout(notes, slice);
            notes = waited.unwrap_or_else(PoisonError::into_inner).0;
            notes.waiting -= 1;
        }
    }

    fn not_flushed(state: &ReceiverState, position: Lsn) -> Failure {
        let why = match &state.phase {
            Phase::Reconnecting(why) | Phase::Alarm(why) => {
                format!(": the receiver is not streaming ({why})")
            }
            _ => String::new(),
        };
        let flushed = state.flushed;
        Failure::new(
            Kind::Timeout,
            format!("WAL up to {position} did not arrive, only up to {flushed}{why}"),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Every change under the lock is one assignment, so a panic of another thread left nothing half done.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_backup_is_refused_and_the_first_keeps_its_place() {
        let board = Board::new();
        let server: ServerName = "primary".parse().unwrap();
        let first = board.begin(&server, Activity::Backup).unwrap();
        let refused = board.begin(&server, Activity::Backup).err().unwrap();
        assert_eq!(refused.kind(), Kind::Busy);
        assert!(
            board.begin(&server, Activity::Backup).is_err(),
            "the refusal released nothing"
        );
        let _restore = board.begin(&server, Activity::Restore).unwrap();
        drop(first);
        assert!(board.begin(&server, Activity::Backup).is_ok());
    }

    #[test]
    fn a_job_that_panics_gives_its_place_back() {
        let board = Board::new();
        let server: ServerName = "primary".parse().unwrap();
        let (inner, name) = (board.clone(), server.clone());
        let job = std::thread::spawn(move || {
            let _guard = inner.begin(&name, Activity::Backup).unwrap();
            panic!("on purpose");
        });
        assert!(job.join().is_err());
        assert!(board.running(&server).is_empty());
    }
}
