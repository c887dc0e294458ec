//! `retain` and `expunge`.

use serde::{Deserialize, Serialize};

use super::values::{List, ServerMembers, Valid};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, CommandOption, Describes, Operand, Run};

const OPERANDS: &[Operand] = &[Operand::SERVER, Operand::BACKUP];

const OPTIONS: &[CommandOption] = &[CommandOption::flag(
    "cascade",
    "Cascade",
    "Include the backups that this one depends on",
)];

/// Excludes a backup from retention.
pub static RETAIN: Command = Command {
    words: ("retain", None),
    name: "retain",
    operands: OPERANDS,
    options: OPTIONS,
    summary: "Exclude a backup from retention",
    details: "It is not deleted without --force then.",
    example: "pgmoneta-cli retain primary newest",
    code: 12,
    workflow: "keep",
    errors: ErrorCodes {
        not_found: 1200,
        ..ErrorCodes::per_server(1201, 1204)
    },
    run: Run::Unbounded,
    describes: Describes::Backup,
    implemented: true,
    ..Command::BASE
};

/// Includes a retained backup in retention again.
pub static EXPUNGE: Command = Command {
    words: ("expunge", None),
    name: "expunge",
    summary: "Include a retained backup in retention again",
    details: "",
    example: "pgmoneta-cli expunge primary 20261122153446",
    code: 13,
    errors: ErrorCodes {
        not_found: 1300,
        ..ErrorCodes::per_server(1301, 1304)
    },
    operands: OPERANDS,
    options: OPTIONS,
    workflow: "keep",
    run: Run::Unbounded,
    describes: Describes::Backup,
    implemented: true,
    ..Command::BASE
};

/// The request to retain a backup, or not any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RetainRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// A label, a prefix of one, `oldest`, `newest` or `latest`.
    pub backup: String,
    /// Whether the backups that it depends on are included.
    pub cascade: bool,
}

/// The response to `retain` and `expunge`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RetainReply {
    /// The server.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// The labels: first the one that was named, then those that it depends on.
    pub backups: List<String>,
    /// Whether the backups that it depends on are included.
    pub cascade: bool,
    /// The comments of the first one, as in `backup.info`.
    pub comments: String,
    /// Whether they are excluded from retention now.
    pub keep: bool,
    /// Whether the first one is valid.
    pub valid: Valid,
}
