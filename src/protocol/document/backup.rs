//! `backup`.

use serde::{Deserialize, Serialize};

use super::values::{BackupMembers, List, ParentMembers, ServerMembers, Valid};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Describes, Operand, Run};

/// Takes a backup.
pub static BACKUP: Command = Command {
    words: ("backup", None),
    name: "backup",
    operands: &[
        Operand::SERVER,
        Operand {
            name: "",
            ..Operand::BACKUP.optional()
        },
    ],
    summary: "Take a full backup of a server",
    example: "pgmoneta-cli backup primary",
    code: 1,
    workflow: "Backup",
    errors: ErrorCodes {
        unknown_server: 111,
        busy: 102,
        not_found: 107,
        argument: 113,
        offline: 110,
        no_space: 107,
        unknown_action: 113,
        unsupported: 107,
        failed: 107,
        other: 113,
    },
    run: Run::Operation,
    lost_response: "`pgmoneta-cli list-backup` shows the backup if it was completed",
    describes: Describes::Backup,
    implemented: true,
    ..Command::BASE
};

/// The request to take a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BackupRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// The parent of an incremental backup; `None` for a full one.
    pub backup: Option<String>,
}

/// The response to a backup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BackupReply {
    /// Its server.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// The backup.
    #[serde(flatten)]
    pub backup: BackupMembers,
    /// Its parent.
    #[serde(flatten)]
    pub parent: ParentMembers,
    /// Whether it is valid.
    pub valid: Valid,
    /// Its duration in seconds; not in the C program.
    pub elapsed: f64,
    /// The warnings of the server; not in the C program.
    pub warnings: List<String>,
}
