//! `status` and `status details`.

use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Describes, Run};

/// Shows the state of all servers.
pub static STATUS: Command = Command {
    words: ("status", None),
    name: "status",
    summary: "Show the servers",
    example: "pgmoneta-cli status",
    code: 7,
    workflow: "status",
    errors: ErrorCodes::all(3),
    run: Run::Monitoring,
    describes: Describes::Servers,
    implemented: true,
    ..Command::BASE
};

/// Shows all servers and their backups.
pub static STATUS_DETAILS: Command = Command {
    words: ("status", Some("details")),
    name: "status-details",
    summary: "Show the servers and their backups",
    example: "pgmoneta-cli status details",
    code: 8,
    workflow: "status",
    errors: ErrorCodes::all(3),
    run: Run::Monitoring,
    describes: Describes::Servers,
    implemented: true,
    ..Command::BASE
};
