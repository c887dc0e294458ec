//! `wal begin`, a command that the C program does not have.

use serde::{Deserialize, Serialize};

use super::values::ServerMembers;
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Operand, Run};

/// Allows a new WAL archive of a server.
pub static WAL_BEGIN: Command = Command {
    words: ("wal", Some("begin")),
    name: "wal begin",
    operands: &[Operand::SERVER],
    summary: "Allow a new WAL archive of a server",
    details: DETAILS,
    example: "pgmoneta-cli wal begin primary",
    code: 10_000,
    errors: ErrorCodes::per_server(10_000, 10_001),
    run: Run::Unbounded,
    implemented: true,
    ..Command::BASE
};

const DETAILS: &str = "\
Needed where the archive has no WAL although the replication slot was used before, and where
directories of the server are missing: either the archive is lost or its file system is not
mounted. Until then no WAL is received, since the server would remove what was confirmed.
WAL is then received from the position of the slot; earlier WAL is not in the archive, and
earlier backups cannot be recovered beyond the gap: take a full backup.
It applies once: after another loss run it again.";

/// The request to allow a new WAL archive of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WalBeginRequest {
    /// The name of the server, unchecked.
    pub server: String,
}

/// The response to `wal begin`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct WalBeginReply {
    /// The server.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// The LSN from which WAL will be received; `None` if there is no slot.
    pub position: Option<String>,
}
