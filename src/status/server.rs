//! The state of one server: its WAL receiver and its running operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::meters::{MeterValues, Meters};
use super::operations::{self, Ending, OperationCounts};
use super::{
    Activity, Inventory, Observation, Phase, Progress, ReceiverState, RetentionMemory, Scope,
    VerificationState,
};
use crate::error::{Error, ErrorKind, Result};
use crate::unit::{Label, Lsn, ServerName, WalPosition};

/// How long an operation waits until a [`Scope::PruneWal`] or a [`Scope::Verify`] gives way.
const WAY_TIMEOUT: Duration = Duration::from_secs(30);

/// An operation that is running.
struct Running {
    activity: Activity,
    scope: Scope,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Inner {
    receiver: ReceiverState,
    verification: VerificationState,
    /// How many threads wait in [`ServerState::wait_receiver`].
    waiting: usize,
    /// The number of the operation that was started last.
    last: u64,
    running: BTreeMap<u64, Running>,
    ended: OperationCounts,
    /// How many operations have ended that may have changed what is stored.
    changes: u64,
    inventory: Arc<Inventory>,
    observation: Arc<Observation>,
    /// How many operations wait in [`ServerState::wait_for_way`].
    delayed: usize,
}

/// The state of one server, shared by all threads.
pub struct ServerState {
    name: ServerName,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Notified when an operation ends for which others wait.
    ended: Condvar,
    retention: Mutex<RetentionMemory>,
    meters: Meters,
}

/// A running operation. Dropping it ends the operation, also during a panic.
pub struct OperationGuard {
    server: Arc<ServerState>,
    number: u64,
    progress: Arc<Progress>,
    ending: Ending,
}

impl OperationGuard {
    /// Ends the operation, which has succeeded; dropping it ends one that has failed.
    pub fn succeeded(mut self) {
        self.ending = Ending::Succeeded;
    }

    /// Ends the operation, which has this result. One that was stopped does not count.
    pub fn end_with<T>(self, result: &Result<T>) {
        match result {
            Ok(_) => self.succeeded(),
            Err(error) if error.kind() == ErrorKind::Stopped => self.uncounted(),
            Err(_) => {}
        }
    }

    /// Ends the operation, which gave way to another one or is a part of one: it does not count.
    pub fn uncounted(mut self) {
        self.ending = Ending::Uncounted;
    }

    /// Updated by the operation.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// As [`ServerState::delays_others`].
    pub fn delays_others(&self) -> bool {
        self.server.delays_others()
    }

    /// Ends the exclusion of changes to other backups than `label`, once it is chosen.
    pub fn read_only_from(&self, label: &Label) {
        if let Some(running) = self.server.lock().running.get_mut(&self.number)
            && running.scope == Scope::ReadAny
        {
            running.scope = Scope::Read(label.clone());
        }
    }
}

impl Drop for OperationGuard {
    fn drop(&mut self) {
        let snapshot = self.progress.snapshot();
        let mut state = self.server.lock();
        // Steps of a retention run do not count.
        let counts = |ended: &Running| {
            ended.activity != Activity::Retention || ended.scope == Scope::Retention
        };
        if let Some(ended) = state.running.remove(&self.number).filter(counts) {
            let work = (snapshot.done, snapshot.elapsed);
            operations::count(&mut state.ended, ended.activity, self.ending, work);
            if (ended.activity, self.ending) == (Activity::Backup, Ending::Succeeded) {
                self.server.meters.backup_ended(snapshot.elapsed);
            }
        }
        state.changes = state.changes.wrapping_add(1);
        if state.delayed > 0 {
            self.server.ended.notify_all();
        }
    }
}

impl ServerState {
    /// A server whose receiver has not been started.
    pub fn new(name: &ServerName) -> Arc<ServerState> {
        Arc::new(ServerState {
            name: name.clone(),
            inner: Mutex::default(),
            changed: Condvar::new(),
            ended: Condvar::new(),
            retention: Mutex::new(RetentionMemory::new(Instant::now(), SystemTime::now())),
            meters: Meters::default(),
        })
    }

    /// The name of the server.
    pub fn name(&self) -> &ServerName {
        &self.name
    }

    /// Starts an operation; [`ErrorKind::Busy`] if one is running that excludes it. Waits for the
    /// end of a [`Scope::PruneWal`].
    pub fn begin(
        self: &Arc<ServerState>,
        activity: Activity,
        scope: Scope,
    ) -> Result<OperationGuard> {
        let mut state = self.wait_for_way(&scope);
        let mut running = state.running.values();
        let excludes = |other: &&Running| {
            scope.excludes(&other.scope) || activity.is_alone() && activity == other.activity
        };
        if let Some(other) = running.find(excludes) {
            let article = if other.activity == Activity::Archive {
                "an"
            } else {
                "a"
            };
            let other = format!("{:?}", other.activity).to_lowercase();
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "{article} {other} of server {} is running already",
                    self.name
                ),
            )
            .with_hint("`pgmoneta-cli status` shows what is running"));
        }
        state.last += 1;
        let number = state.last;
        let progress = Arc::new(Progress::new());
        let running = Running {
            activity,
            scope,
            progress: progress.clone(),
        };
        state.running.insert(number, running);
        Ok(OperationGuard {
            server: self.clone(),
            number,
            progress,
            ending: Ending::Failed,
        })
    }

    /// Whether an operation waits for the end of a [`Scope::PruneWal`] or a [`Scope::Verify`].
    pub fn delays_others(&self) -> bool {
        self.lock().delayed > 0
    }

    /// Waits until nothing excludes `scope` but what gives way to others, and that has ended.
    fn wait_for_way(&self, scope: &Scope) -> MutexGuard<'_, Inner> {
        let mut state = self.lock();
        state.delayed += 1;
        let gives_way = |state: &mut Inner| {
            let mut others = state.running.values();
            let excluding = others.find(|other| scope.excludes(&other.scope));
            excluding.is_some_and(|other| matches!(other.scope, Scope::PruneWal | Scope::Verify(_)))
        };
        let waited = self.ended.wait_timeout_while(state, WAY_TIMEOUT, gives_way);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.delayed -= 1;
        state
    }

    /// What retention remembers of its earlier runs.
    pub fn retention(&self) -> MutexGuard<'_, RetentionMemory> {
        self.retention
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The running operations, oldest first.
    pub fn running(&self) -> Vec<(Activity, Arc<Progress>)> {
        let state = self.lock();
        let running = state.running.values();
        running
            .map(|running| (running.activity, running.progress.clone()))
            .collect()
    }

    /// The state of the WAL receiver.
    pub fn receiver(&self) -> ReceiverState {
        self.lock().receiver.clone()
    }

    /// What the verification by the schedule found.
    pub fn verification(&self) -> VerificationState {
        self.lock().verification
    }

    /// Changes what the verification by the schedule found.
    pub fn update_verification(&self, change: impl FnOnce(&mut VerificationState)) {
        change(&mut self.lock().verification);
    }

    /// How the operations have ended since the start.
    pub fn ended_operations(&self) -> OperationCounts {
        self.lock().ended.clone()
    }

    /// Changes when an operation ends.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// What is counted and measured while it happens.
    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The values of [`ServerState::meters`].
    pub fn meter_values(&self) -> MeterValues {
        self.meters.values()
    }

    /// What was found on the disk last.
    pub fn inventory(&self) -> Arc<Inventory> {
        self.lock().inventory.clone()
    }

    /// Publishes what was found on the disk.
    pub fn set_inventory(&self, inventory: Inventory) {
        let new = Arc::new(inventory);
        // Freed without the lock, for which the receiver may wait.
        let before = std::mem::replace(&mut self.lock().inventory, new);
        drop(before);
    }

    /// What the server said about itself last.
    pub fn observation(&self) -> Arc<Observation> {
        self.lock().observation.clone()
    }

    /// Publishes what the server said about itself.
    pub fn set_observation(&self, observation: Observation) {
        self.lock().observation = Arc::new(observation);
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

    /// Waits until the WAL archive is durable up to `position`, on its timeline or a later
    /// one; [`ErrorKind::Timeout`] after `timeout`, [`ErrorKind::NoSpace`] once WAL cannot be
    /// received for lack of space. `interrupted` is called several times a second; its error ends
    /// the wait.
    pub fn wait_flushed(
        &self,
        position: WalPosition,
        timeout: Duration,
        interrupted: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let reached = |state: &ReceiverState| {
            state.timeline >= Some(position.timeline) && state.flushed >= position.lsn
        };
        let ended = |state: &ReceiverState| reached(state) || state.no_space;
        self.wait_receiver(timeout, interrupted, ended)?;
        let state = self.receiver();
        if reached(&state) {
            return Ok(());
        }
        Err(ServerState::not_flushed(&state, position.lsn))
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
        let kind = if state.no_space {
            ErrorKind::NoSpace
        } else {
            ErrorKind::Timeout
        };
        Error::new(
            kind,
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
    use crate::status::scope::EXCLUSIONS;
    use crate::unit::Timeline;

    fn server() -> Arc<ServerState> {
        ServerState::new(&"primary".parse().unwrap())
    }

    fn label(text: &str) -> Label {
        text.parse().unwrap()
    }

    #[test]
    fn what_excludes_what_is_the_table_and_the_first_goes_on() {
        let [one, other] = ["20260101000000", "20260102000000"].map(label);
        let scopes = [
            Scope::NewBackup,
            Scope::NewLinkedBackup,
            Scope::ReadAny,
            Scope::Read(one.clone()),
            Scope::Read(other.clone()),
            Scope::Change(one.clone()),
            Scope::Change(other),
            Scope::Retention,
        ];
        let excluded = [
            [true, true, false, false, false, false, false, false],
            [true, true, false, false, false, true, true, false],
            [false, false, false, false, false, true, true, false],
            [false, false, false, false, false, true, false, false],
            [false, false, false, false, false, false, true, false],
            [false, true, true, true, false, true, true, false],
            [false, true, true, false, true, true, true, false],
            [false, false, false, false, false, false, false, true],
        ];
        for (first, row) in scopes.iter().zip(excluded) {
            for (second, excluded) in scopes.iter().zip(row) {
                let server = server();
                let guard = server.begin(Activity::Backup, first.clone()).unwrap();
                for _ in 0..2 {
                    let result = server.begin(Activity::Verify, second.clone());
                    let refused = result.err().map(|failure| failure.kind());
                    let expected = excluded.then_some(ErrorKind::Busy);
                    assert_eq!(refused, expected, "{first:?} and {second:?}");
                }
                assert_eq!(server.running().len(), 1, "a refusal ended the first one");
                let elsewhere = ServerState::new(&"other".parse().unwrap());
                assert!(elsewhere.begin(Activity::Verify, second.clone()).is_ok());
                drop(guard);
                assert!(server.begin(Activity::Verify, second.clone()).is_ok());
            }
        }
        for (number, row) in EXCLUSIONS.iter().enumerate() {
            for (other, cell) in row.iter().enumerate() {
                assert_eq!(*cell, EXCLUSIONS[other][number], "it is symmetric");
            }
        }
    }

    #[test]
    fn the_removal_of_a_backup_waits_until_its_scheduled_verification_gives_way() {
        let server = server();
        let [one, other] = ["20260101000000", "20260102000000"].map(label);
        let verify = |label: Option<&Label>| {
            let scope = Scope::Verify(label.cloned());
            server.begin(Activity::Verify, scope)
        };
        let guards = (verify(Some(&one)).unwrap(), verify(None).unwrap());
        let change = |label: &Label| server.begin(Activity::Delete, Scope::Change(label.clone()));
        assert!(change(&other).is_ok() && !server.delays_others());
        let inner = server.clone();
        let scope = Scope::Change(one.clone());
        let removal = std::thread::spawn(move || inner.begin(Activity::Delete, scope));
        while !server.delays_others() {
            std::thread::yield_now();
        }
        assert_eq!(server.running().len(), 2);
        drop(guards);
        let _guard = removal.join().unwrap().unwrap();
        assert!(verify(Some(&one)).is_err());
        assert!(verify(Some(&other)).is_ok() && verify(None).is_ok());
    }

    #[test]
    fn once_a_backup_is_chosen_others_can_be_changed() {
        let server = server();
        let [one, other] = ["20260101000000", "20260102000000"].map(label);
        let change = |label: &Label| server.begin(Activity::Backup, Scope::Change(label.clone()));
        let restore = server.begin(Activity::Restore, Scope::ReadAny).unwrap();
        assert!(change(&one).is_err() && change(&other).is_err());
        restore.read_only_from(&one);
        assert!(change(&one).is_err() && change(&other).is_ok());
    }

    #[test]
    fn wal_is_not_removed_while_a_backup_is_taken_or_read() {
        let one = label("20260101000000");
        for (scope, excluded) in [
            (Scope::NewBackup, true),
            (Scope::ReadAny, true),
            (Scope::Read(one.clone()), true),
            (Scope::Verify(Some(one.clone())), false),
            (Scope::Verify(None), false),
            (Scope::Change(one), false),
            (Scope::Retention, false),
        ] {
            let server = server();
            let _guard = server.begin(Activity::Verify, scope.clone()).unwrap();
            let prune = server.begin(Activity::Retention, Scope::PruneWal);
            let refused = prune.err().map(|failure| failure.kind());
            assert_eq!(refused, excluded.then_some(ErrorKind::Busy), "{scope:?}");
        }
    }

    #[test]
    fn others_wait_for_the_removal_of_wal_which_sees_that_it_delays_them() {
        let server = server();
        let prune = server.begin(Activity::Retention, Scope::PruneWal).unwrap();
        assert!(!prune.delays_others());
        let inner = server.clone();
        let restore =
            std::thread::spawn(move || inner.begin(Activity::Restore, Scope::ReadAny).map(drop));
        while !prune.delays_others() {
            std::thread::yield_now();
        }
        assert_eq!(server.running().len(), 1);
        drop(prune);
        restore.join().unwrap().unwrap();
        assert!(server.running().is_empty());
    }

    #[test]
    fn a_wait_for_wal_ends_when_there_is_no_space_for_it() {
        let server = server();
        let wait = |timeout| {
            let position = Timeline::FIRST.at(Lsn(7));
            let waited = server.wait_flushed(position, timeout, || Ok(()));
            waited.map_err(|failure| failure.kind())
        };
        assert_eq!(wait(Duration::ZERO), Err(ErrorKind::Timeout));
        server.update_receiver(|state| state.no_space = true);
        assert_eq!(wait(Duration::from_secs(600)), Err(ErrorKind::NoSpace));
        server.update_receiver(|state| {
            (state.timeline, state.flushed) = (Some(Timeline::FIRST), Lsn(7));
        });
        assert_eq!(wait(Duration::ZERO), Ok(()), "it is there all the same");
    }

    #[test]
    fn one_archive_runs_at_a_time() {
        let server = server();
        let archive = || server.begin(Activity::Archive, Scope::ReadAny);
        let first = archive().unwrap();
        first.read_only_from(&label("20260101000000"));
        let busy = archive().err().unwrap();
        assert_eq!(busy.kind(), ErrorKind::Busy);
        assert!(busy.message().starts_with("an archive of server"), "{busy}");
        assert!(server.begin(Activity::Restore, Scope::ReadAny).is_ok());
        drop(first);
        assert!(archive().is_ok());
    }

    #[test]
    fn a_panic_ends_the_operation() {
        let server = server();
        let inner = server.clone();
        let job = std::thread::spawn(move || {
            let _guard = inner.begin(Activity::Backup, Scope::NewBackup).unwrap();
            panic!("on purpose");
        });
        assert!(job.join().is_err());
        assert!(server.running().is_empty());
    }
}
