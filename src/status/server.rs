//! The state of one server: its WAL receiver and its running operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Phase, Progress, ReceiverState};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::{Lsn, ServerName, Timeline};

/// An operation on the backups of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Activity {
    /// Takes a backup. One at a time for a server.
    Backup,
    /// Restores a backup. Any number at a time.
    Restore,
    /// Verifies a backup. Any number at a time.
    Verify,
}

impl Activity {
    /// Whether it may run concurrently with `other` on the same server. Readers need no lock: a
    /// backup becomes visible when it is complete, and is immutable from then on.
    fn compatible_with(self, other: Activity) -> bool {
        !(self == Activity::Backup && other == Activity::Backup)
    }
}

#[derive(Default)]
struct Inner {
    receiver: ReceiverState,
    /// How many threads wait in [`ServerState::wait_receiver`].
    waiting: usize,
    /// The number of the operation that was started last.
    last: u64,
    running: BTreeMap<u64, (Activity, Arc<Progress>)>,
}

/// The state of one server, shared by all threads.
pub struct ServerState {
    name: ServerName,
    inner: Mutex<Inner>,
    changed: Condvar,
}

/// A running operation. Dropping it ends the operation, also during a panic.
pub struct OperationGuard {
    server: Arc<ServerState>,
    number: u64,
    progress: Arc<Progress>,
}

impl OperationGuard {
    /// Updated by the operation.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}

impl Drop for OperationGuard {
    fn drop(&mut self) {
        self.server.lock().running.remove(&self.number);
    }
}

impl ServerState {
    /// A server whose receiver has not been started.
    pub fn new(name: &ServerName) -> Arc<ServerState> {
        Arc::new(ServerState {
            name: name.clone(),
            inner: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    /// Starts an operation; [`ErrorKind::Busy`] if an incompatible one is running.
    pub fn begin(self: &Arc<ServerState>, activity: Activity) -> Result<OperationGuard> {
        let mut state = self.lock();
        if let Some((other, _)) = state
            .running
            .values()
            .find(|(other, _)| !activity.compatible_with(*other))
        {
            let other = format!("{other:?}").to_lowercase();
            return Err(Error::new(
                ErrorKind::Busy,
                format!("a {other} of server {} is running already", self.name),
            )
            .with_hint("`pgmoneta-cli status` shows what is running"));
        }
        state.last += 1;
        let number = state.last;
        let progress = Arc::new(Progress::new());
        state.running.insert(number, (activity, progress.clone()));
        Ok(OperationGuard {
            server: self.clone(),
            number,
            progress,
        })
    }

    /// The running operations, oldest first.
    pub fn running(&self) -> Vec<(Activity, Arc<Progress>)> {
        self.lock().running.values().cloned().collect()
    }

    /// The state of the WAL receiver.
    pub fn receiver(&self) -> ReceiverState {
        self.lock().receiver.clone()
    }

    /// Changes the state of the receiver, and wakes the threads that wait for it.
    pub fn update_receiver(&self, change: impl FnOnce(&mut ReceiverState)) {
        let mut state = self.lock();
        change(&mut state.receiver);
        // This runs for every message of the WAL stream, and notify_all() is a system call even if
        // no thread waits.
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Waits until the WAL archive is durable up to `position` of `timeline` or a later
    /// timeline; [`ErrorKind::Timeout`] after `timeout`. `interrupted` is called several times a
    /// second; its error ends the wait.
    pub fn wait_flushed(
        &self,
        (timeline, position): (Timeline, Lsn),
        timeout: Duration,
        interrupted: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let reached =
            |state: &ReceiverState| state.timeline >= Some(timeline) && state.flushed >= position;
        if self.wait_receiver(timeout, interrupted, reached)? {
            return Ok(());
        }
        Err(ServerState::not_flushed(&self.receiver(), position))
    }

    /// Waits until `until` is true for the state of the receiver; `false` after `timeout`.
    /// `interrupted` is called several times a second; its error ends the wait.
    pub fn wait_receiver(
        &self,
        timeout: Duration,
        interrupted: impl Fn() -> Result<()>,
        until: impl Fn(&ReceiverState) -> bool,
    ) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if until(&state.receiver) {
                return Ok(true);
            }
            interrupted()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let slice = left.min(Duration::from_millis(200));
            state.waiting += 1;
            let waited = self.changed.wait_timeout(state, slice);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
    }

    fn not_flushed(state: &ReceiverState, position: Lsn) -> Error {
        let why = match &state.phase {
            Phase::Reconnecting(why) | Phase::Alarm(why) => {
                format!(": the receiver is not streaming ({why})")
            }
            _ => String::new(),
        };
        let flushed = state.flushed;
        Error::new(
            ErrorKind::Timeout,
            format!("WAL up to {position} did not arrive, only up to {flushed}{why}"),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is one assignment, so a poisoned state is consistent.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Arc<ServerState> {
        ServerState::new(&"primary".parse().unwrap())
    }

    #[test]
    fn a_second_backup_is_refused_and_the_first_goes_on() {
        let server = server();
        let first = server.begin(Activity::Backup).unwrap();
        let refused = server.begin(Activity::Backup).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert!(
            server.begin(Activity::Backup).is_err(),
            "the refusal did not end the first backup"
        );
        let _restore = server.begin(Activity::Restore).unwrap();
        let other = ServerState::new(&"other".parse().unwrap());
        assert!(other.begin(Activity::Backup).is_ok());
        drop(first);
        assert!(server.begin(Activity::Backup).is_ok());
    }

    #[test]
    fn a_panic_ends_the_operation() {
        let server = server();
        let inner = server.clone();
        let job = std::thread::spawn(move || {
            let _guard = inner.begin(Activity::Backup).unwrap();
            panic!("on purpose");
        });
        assert!(job.join().is_err());
        assert!(server.running().is_empty());
    }
}
