//! `backup`.

use serde::{Deserialize, Serialize};

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
