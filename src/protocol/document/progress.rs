//! `progress`.

use serde::{Deserialize, Serialize};

use super::values::{Seconds, ServerMembers};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Operand, Run};

/// Shows the progress of an operation.
pub static PROGRESS: Command = Command {
    words: ("progress", None),
    name: "progress",
    operands: &[
        Operand::SERVER,
        Operand::text("COMMAND", "Command").optional(),
    ],
    summary: "Show the progress of an operation on a server",
    example: "pgmoneta-cli progress primary backup",
    code: 25,
    workflow: "status",
    errors: ErrorCodes::per_server(3000, 3003),
    run: Run::Monitoring,
    implemented: true,
    ..Command::BASE
};

/// The request to show the progress of the operation on a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProgressRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// The command of the operation; any operation if it is unknown.
    pub command: String,
}

/// The response with the progress of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProgressReply {
    /// The server.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// 1 if an operation is running, else 0; then the other numbers are 0 too.
    pub progress_state: u8,
    /// The command of the operation; not in the C program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// Bytes processed so far.
    pub done: u64,
    /// The expected number of bytes, possibly an estimate; 0 if it is not known.
    pub total: u64,
    /// 0 to 100.
    pub percentage: u8,
    /// Seconds since the start of the operation.
    pub elapsed: u64,
    /// The estimated time left; 0 if it is not known.
    pub remaining: Seconds,
}

impl ProgressReply {
    /// Whether an operation is running.
    pub fn is_running(&self) -> bool {
        self.progress_state == 1
    }
}
