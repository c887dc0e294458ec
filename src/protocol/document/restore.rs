//! `restore`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::values::{BackupMembers, List, ParentMembers, ServerMembers, TablespaceMembers};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, CommandOption, Describes, MemberKind, Operand, Run};

/// Restores a backup.
pub static RESTORE: Command = Command {
    words: ("restore", None),
    name: "restore",
    operands: &[
        Operand::SERVER,
        Operand::BACKUP,
        Operand::POSITION,
        Operand::DIRECTORY,
    ],
    options: &[TABLESPACE, KEEP_SYNCHRONOUS, ARCHIVE_MODE, DRY_RUN],
    summary: "Restore a backup, ready to be started",
    details: DETAILS,
    example: "pgmoneta-cli restore primary newest 'time=2026-11-22 14:00:00+00' \
              /var/lib/postgresql",
    code: 3,
    workflow: "restore",
    errors: ErrorCodes {
        unknown_server: 603,
        busy: 602,
        not_found: 600,
        argument: 600,
        no_space: 601,
        unsupported: 605,
        failed: 605,
        ..ErrorCodes::all(609)
    },
    run: Run::Operation,
    lost_response: "the restored files may be incomplete: see the log of the daemon",
    describes: Describes::Backup,
    implemented: true,
};

const DETAILS: &str = "\
The data directory is <DIRECTORY>/<SERVER>-<BACKUP>, which must be empty or missing.
The position is where recovery ends:
  (none), immediate   the end of the backup
  current             all WAL that was received
  time=TIME           before the first commit after that time, such as 2026-11-22 14:00:00+00,
                      or 2026-11-22, which is midnight
  lsn=LSN, xid=XID, name=NAME   a WAL position, a transaction, a restore point
and after commas: timeline=NUMBER, latest or current (the default: the timeline that the
archive follows), inclusive=true|false, action=pause|promote|shutdown, primary (the
default: promotes) or replica (a standby).
`newest` is the newest backup from which the position can be reached, on the history of the timeline
that the archive follows: not one on a branch that was left by a point-in-time recovery.";

const TABLESPACE: CommandOption = CommandOption {
    long: "tablespace",
    short: None,
    value: "NAME|OID|PATH=NEWPATH",
    help: "Where a tablespace is restored to; may be repeated",
    member: "Tablespaces",
    kind: MemberKind::Tablespaces,
    words: &[],
};

pub(super) const KEEP_SYNCHRONOUS: CommandOption = CommandOption::flag(
    "keep-synchronous",
    "KeepSynchronous",
    "Keep synchronous_standby_names, which is emptied otherwise",
);

pub(super) const ARCHIVE_MODE: CommandOption = CommandOption {
    long: "archive-mode",
    short: None,
    value: "MODE",
    help: "archive_mode of the restored server [default: preserve]",
    member: "ArchiveMode",
    kind: MemberKind::Text,
    words: &["off", "preserve"],
};

pub(super) const DRY_RUN: CommandOption = CommandOption::flag(
    "dry-run",
    "DryRun",
    "Print what would be written, and write nothing",
);

/// The request to restore or archive a backup. The C program has the first four members; the others
/// are sent only if they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestoreRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// A label, a prefix of one, `oldest`, `newest` or `latest`.
    pub backup: String,
    /// The recovery target and its options, separated by commas; `None` is the end of the backup.
    pub position: Option<String>,
    /// The directory in which the data directory or the archive is created.
    pub directory: String,
    /// The tablespaces to relocate: name, OID or old path, and new path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tablespaces: BTreeMap<String, String>,
    /// Whether `synchronous_standby_names` is kept.
    #[serde(skip_serializing_if = "is_false")]
    pub keep_synchronous: bool,
    /// Whether `archive_mode` is turned off.
    #[serde(skip_serializing_if = "ArchiveMode::is_default")]
    pub archive_mode: ArchiveMode,
    /// Whether to respond with the plan only and write nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What becomes of `archive_mode` in a restored server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum ArchiveMode {
    /// It is as in the backup.
    #[default]
    Preserve,
    /// It is turned off.
    Off,
}

impl ArchiveMode {
    fn is_default(&self) -> bool {
        *self == ArchiveMode::default()
    }
}

impl TryFrom<String> for ArchiveMode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<ArchiveMode, &'static str> {
        match text.as_str() {
            "preserve" => Ok(ArchiveMode::Preserve),
            "off" => Ok(ArchiveMode::Off),
            _ => Err("ArchiveMode is not off or preserve"),
        }
    }
}

/// The response to a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestoreReply {
    /// The server of the backup.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// The backup that was chosen.
    #[serde(flatten)]
    pub backup: BackupMembers,
    /// Its parent.
    #[serde(flatten)]
    pub parent: ParentMembers,
    /// The comments, as in `backup.info`.
    pub comments: String,
    /// What was written, or would be; not in the C program.
    pub plan: Option<PlanMembers>,
    /// What the user must know before the server is started; not in the C program.
    pub warnings: List<String>,
}

/// What a restore writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PlanMembers {
    /// The new data directory.
    pub target: String,
    /// The tablespaces.
    pub tablespaces: List<RestoredTablespace>,
    /// The number of files of the backup.
    pub files: u64,
    /// The total size of these files in bytes.
    pub bytes: u64,
    /// The names of the WAL segments and history files for `pg_wal`.
    #[serde(rename = "WAL")]
    pub wal: List<String>,
    /// The total size of these in bytes.
    #[serde(rename = "WALBytes")]
    pub wal_bytes: u64,
    /// Where recovery will end, as text.
    pub position: String,
    /// The settings that are written, as `name = value` without quotes.
    pub settings: List<String>,
}

/// A tablespace and where it is restored to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RestoredTablespace {
    /// The tablespace.
    #[serde(flatten)]
    pub tablespace: TablespaceMembers,
    /// Its new directory.
    pub directory: String,
}
