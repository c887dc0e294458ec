//! `delete`.

use serde::{Deserialize, Serialize};

use super::values::ServerMembers;
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, CommandOption, Operand, Run};

/// Removes a backup.
pub static DELETE: Command = Command {
    words: ("delete", None),
    name: "delete",
    operands: &[Operand::SERVER, Operand::BACKUP],
    options: &[CommandOption::flag(
        "force",
        "Force",
        "Delete the backup even if it is retained, or is the last valid one",
    )],
    summary: "Remove a backup",
    details: "A backup on which an incremental one depends cannot be deleted: delete that one \
              first.\nAn invalid backup is named by its label.",
    example: "pgmoneta-cli delete primary oldest",
    code: 5,
    workflow: "Delete",
    errors: ErrorCodes {
        unknown_server: 403,
        busy: 503,
        not_found: 505,
        argument: 506,
        unsupported: 507,
        no_space: 508,
        failed: 508,
        ..ErrorCodes::all(509)
    },
    run: Run::Unbounded,
    lost_response: "`pgmoneta-cli list-backup` shows the backup if it is still there",
    implemented: true,
    ..Command::BASE
};

/// The request to remove a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// A label, a prefix of one, `oldest`, `newest` or `latest`.
    pub backup: String,
    /// Whether a retained backup, or the last valid one, is removed too.
    pub force: bool,
}

/// The response to `delete`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeleteReply {
    /// The server.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// The label of the removed backup.
    pub backup: String,
}
