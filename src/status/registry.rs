//! The registry of WAL receivers and running operations.

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
struct ServerState {
    receiver: ReceiverState,
    running: BTreeMap<u64, (Activity, Arc<Progress>)>,
}

#[derive(Default)]
struct State {
    /// The number of the operation that was started last.
    last: u64,
    /// How many threads wait in [`Registry::wait_receiver`].
    waiting: usize,
    servers: BTreeMap<ServerName, ServerState>,
}

/// The state of all servers, shared by all threads.
#[derive(Default)]
pub struct Registry {
    state: Mutex<State>,
    changed: Condvar,
}

/// A running operation. Dropping it ends the operation, also during a panic.
pub struct OperationGuard {
    registry: Arc<Registry>,
    server: ServerName,
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
        let mut state = self.registry.lock();
        if let Some(state) = state.servers.get_mut(&self.server) {
            state.running.remove(&self.number);
        }
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Arc<Registry> {
        Arc::default()
    }

    /// Starts an operation; [`ErrorKind::Busy`] if an incompatible one is running for the server.
    pub fn begin(
        self: &Arc<Registry>,
        server: &ServerName,
        activity: Activity,
    ) -> Result<OperationGuard> {
        let mut state = self.lock();
        state.last += 1;
        let number = state.last;
        let running = &mut state.servers.entry(server.clone()).or_default().running;
        if let Some((other, _)) = running
            .values()
            .find(|(other, _)| !activity.compatible_with(*other))
        {
            let other = format!("{other:?}").to_lowercase();
            return Err(Error::new(
                ErrorKind::Busy,
                format!("a {other} of server {server} is running already"),
            )
            .with_hint("`pgmoneta-cli status` shows what is running"));
        }
        let progress = Arc::new(Progress::new());
        running.insert(number, (activity, progress.clone()));
        Ok(OperationGuard {
            registry: self.clone(),
            server: server.clone(),
            number,
            progress,
        })
    }

    /// The running operations of a server, oldest first.
    pub fn running(&self, server: &ServerName) -> Vec<(Activity, Arc<Progress>)> {
        let state = self.lock();
        state
            .servers
            .get(server)
            .map(|state| state.running.values().cloned().collect())
            .unwrap_or_default()
    }

    /// The state of the WAL receiver of a server.
    pub fn receiver(&self, server: &ServerName) -> ReceiverState {
        self.lock()
            .servers
            .get(server)
            .map(|state| state.receiver.clone())
            .unwrap_or_default()
    }

    /// Changes the state of a receiver, and wakes the threads that wait for it.
    pub fn update_receiver(&self, server: &ServerName, change: impl FnOnce(&mut ReceiverState)) {
        let mut state = self.lock();
        match state.servers.get_mut(server) {
            Some(state) => change(&mut state.receiver),
            None => change(&mut state.servers.entry(server.clone()).or_default().receiver),
        }
        // This runs for every message of the WAL stream, and notify_all() is a system call even if
        // no thread waits.
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Waits until the WAL archive of a server is durable up to `position` of `timeline` or a later
    /// timeline; [`ErrorKind::Timeout`] after `timeout`. `interrupted` is called several times a
    /// second; its error ends the wait.
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
        Err(Registry::not_flushed(&self.receiver(server), position))
    }

    /// Waits until `until` is true for the state of a receiver; `false` after `timeout`.
    /// `interrupted` is called several times a second; its error ends the wait.
    pub fn wait_receiver(
        &self,
        server: &ServerName,
        timeout: Duration,
        interrupted: impl Fn() -> Result<()>,
        until: impl Fn(&ReceiverState) -> bool,
    ) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if until(&state.servers.entry(server.clone()).or_default().receiver) {
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

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is one assignment, so a poisoned state is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_backup_is_refused_and_the_first_goes_on() {
        let registry = Registry::new();
        let server: ServerName = "primary".parse().unwrap();
        let first = registry.begin(&server, Activity::Backup).unwrap();
        let refused = registry.begin(&server, Activity::Backup).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        assert!(
            registry.begin(&server, Activity::Backup).is_err(),
            "the refusal did not end the first backup"
        );
        let _restore = registry.begin(&server, Activity::Restore).unwrap();
        drop(first);
        assert!(registry.begin(&server, Activity::Backup).is_ok());
    }

    #[test]
    fn a_panic_ends_the_operation() {
        let registry = Registry::new();
        let server: ServerName = "primary".parse().unwrap();
        let (inner, name) = (registry.clone(), server.clone());
        let job = std::thread::spawn(move || {
            let _guard = inner.begin(&name, Activity::Backup).unwrap();
            panic!("on purpose");
        });
        assert!(job.join().is_err());
        assert!(registry.running(&server).is_empty());
    }
}
