//! `info`.

use serde::{Deserialize, Serialize};

use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Describes, Operand};

/// Shows one backup.
pub static INFO: Command = Command {
    words: ("info", None),
    name: "info",
    operands: &[Operand::SERVER, Operand::BACKUP],
    summary: "Show one backup",
    example: "pgmoneta-cli info primary newest",
    code: 18,
    workflow: "info",
    errors: ErrorCodes {
        unknown_server: 2201,
        not_found: 2200,
        ..ErrorCodes::all(2204)
    },
    describes: Describes::Backup,
    implemented: true,
    ..Command::BASE
};

/// The request to show one backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InfoRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// A label, a prefix of one, `oldest`, `newest` or `latest`.
    pub backup: String,
}
