//! `annotate`. Its response is that of `info`.

use serde::{Deserialize, Serialize};

use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Describes, Operand, Run};

/// Changes the comments of a backup.
pub static ANNOTATE: Command = Command {
    words: ("annotate", None),
    name: "annotate",
    operands: &[
        Operand::SERVER,
        Operand::BACKUP,
        Operand::text("add|update|remove", "Action"),
        Operand::text("KEY", "Key"),
        Operand::text("COMMENT", "Comment").optional(),
    ],
    summary: "Change the comments of a backup",
    details: "Adding a key that exists is an error, and so is updating or removing one that does \
              not.",
    example: "pgmoneta-cli annotate primary newest add ticket 'before the upgrade'",
    code: 20,
    workflow: "info",
    errors: ErrorCodes {
        not_found: 2500,
        unknown_action: 2506,
        no_space: 2503,
        failed: 2503,
        ..ErrorCodes::per_server(2501, 2505)
    },
    run: Run::Unbounded,
    describes: Describes::Backup,
    implemented: true,
    ..Command::BASE
};

/// The request to change the comments of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AnnotateRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// A label, a prefix of one, `oldest`, `newest` or `latest`.
    pub backup: String,
    /// `add`, `update` or `remove`, unchecked.
    pub action: String,
    /// The key of the comment.
    pub key: String,
    /// The comment; `None` to remove it.
    pub comment: Option<String>,
}
