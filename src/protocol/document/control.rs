//! `ping` and `shutdown`, whose requests have no members.

use serde::{Deserialize, Serialize};

use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Run};

/// Checks whether the daemon is running.
pub static PING: Command = Command {
    words: ("ping", None),
    name: "ping",
    summary: "Check whether the daemon is running",
    example: "pgmoneta-cli ping && echo running",
    code: 9,
    errors: ErrorCodes::all(3),
    run: Run::Monitoring,
    implemented: true,
    ..Command::BASE
};

/// Stops the daemon. Its response has no members, not even the version.
pub static SHUTDOWN: Command = Command {
    words: ("shutdown", None),
    name: "shutdown",
    summary: "Stop the daemon",
    example: "pgmoneta-cli shutdown",
    code: 6,
    errors: ErrorCodes::all(3),
    implemented: true,
    ..Command::BASE
};

/// The response to `ping`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PingReply {
    /// The version of the daemon, which every response with members has.
    pub server_version: String,
}
