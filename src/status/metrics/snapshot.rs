//! A copy of the state that the metrics show.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::label::add_label;
use crate::config::{Config, Server};
use crate::logging::{self, MessageCounts};
use crate::status::progress::Snapshot as ProgressSnapshot;
use crate::status::{
    Activity, Disks, EndedOperations, Inventory, MeterValues, Observation, OperationCounts,
    ReceiverState, ServerState, StoredBackup, VerificationState,
};
use crate::storage::Space;
use crate::unit::Timestamp;

/// The state of the daemon and its servers at one moment.
pub struct Snapshot {
    pub(super) daemon: DaemonSnapshot,
    pub(super) servers: Vec<ServerSnapshot>,
}

/// What belongs to no server.
pub(super) struct DaemonSnapshot {
    pub config: Arc<Config>,
    pub messages: MessageCounts,
    /// When the daemon started.
    pub started: Timestamp,
    /// Bytes stored for all servers.
    pub used: u64,
    /// The file system of `base_dir`; `None` if it was not looked at yet.
    pub space: Option<Space>,
}

/// The state of a server.
pub(super) struct ServerSnapshot {
    /// The label `name`, as text.
    pub labels: String,
    /// The labels of each backup of the inventory, as text.
    backup_labels: Vec<String>,
    pub config: Arc<Server>,
    /// The moment of the snapshot.
    pub now: (Instant, Timestamp),
    pub receiver: ReceiverState,
    pub running: Vec<(Activity, ProgressSnapshot)>,
    pub ended: OperationCounts,
    pub verification: VerificationState,
    pub meters: MeterValues,
    pub inventory: Arc<Inventory>,
    pub observation: Arc<Observation>,
    /// Bytes that a running backup is still expected to take.
    pub claimed: u64,
    /// Bytes of WAL per second in the last hour; 0 if not known yet.
    pub wal_rate: u64,
}

impl Snapshot {
    /// Copies the state of the servers, which are in the order of the configuration.
    pub fn take<'a>(
        config: &Arc<Config>,
        started: Timestamp,
        disks: &Disks,
        servers: impl IntoIterator<Item = (Arc<Server>, &'a ServerState)>,
    ) -> Snapshot {
        let now = (Instant::now(), Timestamp::now());
        let servers = servers.into_iter();
        let servers: Vec<ServerSnapshot> = servers
            .map(|(server, state)| ServerSnapshot::of(server, state, disks, now))
            .collect();
        let sizes = servers.iter().map(ServerSnapshot::stored_bytes);
        let inventories = servers.iter().map(|server| &server.inventory);
        let newest = inventories.max_by_key(|inventory| inventory.collected_at);
        let collected = newest.filter(|inventory| inventory.collected_at.is_some());
        Snapshot {
            daemon: DaemonSnapshot {
                config: config.clone(),
                messages: logging::counts(),
                started,
                used: sizes.fold(0, u64::saturating_add),
                space: collected.map(|inventory| inventory.base),
            },
            servers,
        }
    }
}

impl ServerSnapshot {
    fn of(
        config: Arc<Server>,
        state: &ServerState,
        disks: &Disks,
        now: (Instant, Timestamp),
    ) -> ServerSnapshot {
        let name = state.name();
        let mut labels = String::new();
        add_label(&mut labels, "name", name.as_str());
        let inventory = state.inventory();
        let backup_labels = inventory.backups.iter().map(|backup| {
            let mut labels = labels.clone();
            add_label(&mut labels, "label", backup.label.as_str());
            labels
        });
        let running = state.running().into_iter();
        ServerSnapshot {
            backup_labels: backup_labels.collect(),
            labels,
            config,
            now,
            receiver: state.receiver(),
            running: running
                .map(|(activity, progress)| (activity, progress.snapshot()))
                .collect(),
            ended: state.ended_operations(),
            verification: state.verification(),
            meters: state.meter_values(),
            inventory,
            observation: state.observation(),
            claimed: disks.claims().left(name),
            wal_rate: disks.wal_rate(name),
        }
    }

    /// The backups with their labels as text.
    pub(super) fn backups(&self) -> impl Iterator<Item = (&StoredBackup, &str)> {
        let labels = self.backup_labels.iter().map(String::as_str);
        self.inventory.backups.iter().zip(labels)
    }

    pub(super) fn runs(&self, activity: Activity) -> bool {
        self.running.iter().any(|(running, _)| *running == activity)
    }

    /// The operations of one type that have ended.
    pub(super) fn ended(&self, activity: Activity) -> EndedOperations {
        self.ended.get(&activity).copied().unwrap_or_default()
    }

    /// Bytes on disk.
    pub(super) fn stored_bytes(&self) -> u64 {
        let inventory = &self.inventory;
        inventory.backup_bytes.saturating_add(inventory.wal.bytes)
    }

    /// The time since an event, if it has happened.
    pub(super) fn since(&self, event: Option<Instant>) -> Option<Duration> {
        event.map(|event| self.now.0.saturating_duration_since(event))
    }

    /// The seconds since a point in time; 0 if it is in the future by another clock.
    pub(super) fn seconds_since(&self, time: Timestamp) -> u64 {
        let seconds = self.now.1.seconds().saturating_sub(time.seconds());
        u64::try_from(seconds).unwrap_or(0)
    }
}
