//! `status` and `status details`.

use serde::{Deserialize, Serialize};

use super::list_backup::BackupSummary;
use super::values::{List, RetentionCount, ServerMembers};
use crate::error::{Error, ErrorKind};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Describes, Run};

/// Shows the state of all servers.
pub static STATUS: Command = Command {
    words: ("status", None),
    name: "status",
    summary: "Show the servers",
    example: "pgmoneta-cli status",
    code: 7,
    workflow: "status",
    errors: ErrorCodes::all(3),
    run: Run::Monitoring,
    describes: Describes::Servers,
    implemented: true,
    ..Command::BASE
};

/// Shows all servers and their backups.
pub static STATUS_DETAILS: Command = Command {
    words: ("status", Some("details")),
    name: "status-details",
    summary: "Show the servers and their backups",
    example: "pgmoneta-cli status details",
    code: 8,
    workflow: "status",
    errors: ErrorCodes::all(3),
    run: Run::Monitoring,
    describes: Describes::Servers,
    implemented: true,
    ..Command::BASE
};

/// The response to `status` and `status details`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StatusReply {
    /// Free bytes of the file system with the repository.
    pub free_space: u64,
    /// Bytes of that file system.
    pub total_space: u64,
    /// Bytes stored for all servers.
    pub used_space: u64,
    /// Bytes of the file system that backups leave free for WAL; not in the C program.
    pub reserve_space: Option<u64>,
    /// The whole days until no more than that is free; `None` if the disk does not get fuller, or
    /// that is not known yet. Not in the C program.
    pub days_until_full: Option<u64>,
    /// How many servers there are.
    pub number_of_servers: usize,
    /// The servers, in the order of the configuration.
    pub servers: List<StatusServer>,
    /// The setting `workers`; 0 is one for each CPU.
    pub workers: u32,
    /// Whether the daemon runs in FIPS mode; only in `status details`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pgmoneta_fips: Option<bool>,
}

/// A server in the response to `status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct StatusServer {
    /// Its name and version; the C program has only the name here.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// Whether a tar file of a backup is created.
    pub active_archive: bool,
    /// Whether a backup is taken.
    pub active_backup: bool,
    /// Whether a backup is removed.
    pub active_delete: bool,
    /// Whether a backup is restored.
    pub active_restore: bool,
    /// Whether retention is applied.
    pub active_retention: bool,
    /// Whether a backup is verified; not in the C program.
    pub active_verify: bool,
    /// Whether the server has data checksums.
    pub checksums: bool,
    /// Bytes of the hot standby; this program has none.
    pub hot_standby_size: u64,
    /// How many backups there are.
    pub number_of_backups: usize,
    /// Whether WAL is streamed.
    pub online: bool,
    /// Whether it is not in recovery.
    pub primary: bool,
    /// The configured retention.
    pub retention_days: RetentionCount,
    /// The configured retention.
    pub retention_months: RetentionCount,
    /// The configured retention.
    pub retention_weeks: RetentionCount,
    /// The configured retention.
    pub retention_years: RetentionCount,
    /// Whether retention is applied; not in the C program, which does.
    pub retention_in_force: Option<bool>,
    /// Bytes stored for it.
    pub server_size: u64,
    /// Its setting `workers`.
    pub workers: u32,
    /// Free bytes of the workspace; this program has none.
    pub workspace_free_space: u64,
    /// Whether it needs no operator; not in the C program.
    pub healthy: Option<bool>,
    /// What needs the operator; not in the C program.
    pub problems: List<String>,
    /// The interval that was proven.
    #[serde(flatten)]
    pub restorable: RestorableMembers,
    /// The WAL receiver.
    #[serde(flatten)]
    pub receiver: ReceiverMembers,
    /// The backups; only in `status details`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups: Option<List<BackupSummary>>,
    /// Whether the server runs in FIPS mode; only in `status details`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fips: Option<bool>,
}

/// What the last verification of the archived WAL has proven; not in the C program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestorableMembers {
    /// The first position to which the server can be recovered: the end of the oldest backup.
    pub restorable_from: Option<String>,
    /// The last one.
    pub restorable_to: Option<String>,
    /// The timeline of the last one.
    pub restorable_timeline: Option<u32>,
    /// All of the WAL was read since then: local time with its offset.
    pub restorable_proven: Option<String>,
}

/// The state of the WAL receiver of a server. The C program has the first member only, and in
/// `status details` only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReceiverMembers {
    /// Whether WAL is streamed.
    pub wal_streaming: Option<bool>,
    /// `starting`, `streaming`, `reconnecting`, `alarm` or `stopped`.
    pub wal_phase: String,
    /// The cause of the phase.
    pub wal_message: String,
    /// The timeline.
    pub wal_timeline: Option<u32>,
    /// The end of the WAL on disk.
    pub wal_flushed: Option<String>,
    /// The end of the received WAL.
    pub wal_received: Option<String>,
    /// The end of the server's WAL in its last message.
    pub wal_server_end: Option<String>,
    /// Bytes by which the WAL on disk is behind the server; `None` if it is unknown.
    pub wal_lag: Option<u64>,
    /// Seconds since the last message of the server.
    pub wal_heard: Option<u64>,
    /// The WAL that is missing in the archive.
    pub wal_gaps: List<String>,
    /// How many complete segments are not compressed and encrypted yet.
    pub wal_unsealed: usize,
    /// Why the last segment could not be compressed and encrypted.
    pub wal_sealing: Option<String>,
}

impl StatusReply {
    /// The error for servers that need the operator, with which the client ends although the
    /// request succeeded. `None` from the daemon of the C program, which does not tell.
    pub fn failure(&self) -> Option<Error> {
        let servers = self.servers.iter();
        let unhealthy = servers.filter(|server| server.healthy == Some(false));
        let lines: Vec<String> = unhealthy
            .map(|server| {
                let problems = server.problems.join("; ");
                let line = format!("server {}: {problems}", server.server.server);
                line.replace('\n', " ")
            })
            .collect();
        (!lines.is_empty()).then(|| Error::new(ErrorKind::Network, lines.join("\n")))
    }
}
