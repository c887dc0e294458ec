//! `retention`, a command that the C program does not have.

use serde::{Deserialize, Serialize};

use super::values::{List, ServerMembers};
use crate::error::{Error, ErrorKind};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, CommandOption, Operand, Run};

/// Removes old backups of a server, and the WAL that none needs.
pub static RETENTION: Command = Command {
    words: ("retention", None),
    name: "retention",
    operands: &[Operand::SERVER],
    options: &[CommandOption::flag(
        "dry-run",
        "DryRun",
        "Print what would be removed, and remove nothing",
    )],
    summary: "Remove old backups, and WAL that none needs",
    details: DETAILS,
    example: "pgmoneta-cli retention primary --dry-run",
    code: 10_010,
    errors: ErrorCodes {
        unknown_server: 10_010,
        busy: 10_011,
        ..ErrorCodes::all(10_012)
    },
    run: Run::Unbounded,
    lost_response: "the removal goes on: see the log of the daemon",
    implemented: true,
    ..Command::BASE
};

const DETAILS: &str = "\
The daemon does this by itself every retention_interval. Each backup is printed with what
becomes of it, and the reason. A backup that is being restored or verified is removed by a
later run. Kept are all backups of the days of `retention`, the newest one of each calendar
week, month and year that it asks for, the current ones included, those that `retain` has
excluded, and always the newest valid ones (retention_minimum).";

/// The request to remove old backups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RetentionRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// Whether nothing is removed.
    pub dry_run: bool,
}

/// The response to `retention`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RetentionReply {
    /// The server.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// All backups, oldest first, and those that were removed.
    pub backups: List<RetentionBackup>,
    /// How many files of WAL were removed, or would be.
    pub wal_files: usize,
    /// Why no WAL, or not all that could be, was removed.
    pub wal_kept: Option<String>,
}

/// A backup in the response to `retention`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RetentionBackup {
    /// The label.
    pub backup: String,
    /// What became of it.
    pub decision: RetentionDecision,
    /// The rule that keeps it, or why none does.
    pub reason: String,
    /// Why it was not removed, although no rule keeps it.
    pub problem: Option<String>,
}

/// What became of a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetentionDecision {
    /// It is kept.
    #[default]
    Keep,
    /// It will be removed.
    Expire,
    /// It was removed.
    Removed,
    /// It is in use, and a later run removes it.
    Later,
    /// It could not be removed.
    Failed,
}

impl RetentionReply {
    /// The error for backups that could not be removed, with which the client ends although the
    /// request succeeded.
    pub fn failure(&self) -> Option<Error> {
        let backups = self.backups.iter();
        let failed = backups.filter(|backup| backup.decision == RetentionDecision::Failed);
        let lines: Vec<String> = failed
            .map(|backup| {
                let why = backup.problem.as_deref().unwrap_or_default();
                format!("the backup {} could not be removed: {why}", backup.backup)
            })
            .collect();
        (!lines.is_empty()).then(|| Error::new(ErrorKind::Internal, lines.join("\n")))
    }
}
