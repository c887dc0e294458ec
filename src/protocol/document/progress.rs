//! `progress`.

use serde::{Deserialize, Serialize};

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
