//! `list-backup`.

use serde::{Deserialize, Serialize};

use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, CommandOption, Describes, MemberKind, Operand};

/// Lists the backups of a server.
pub static LIST_BACKUP: Command = Command {
    words: ("list-backup", None),
    name: "list-backup",
    operands: &[
        Operand::SERVER,
        // The C client accepts a second operand and ignores it.
        Operand::text("", "").optional(),
    ],
    options: &[CommandOption {
        long: "sort",
        short: Some('s'),
        value: "ORDER",
        help: "Oldest or newest first [default: asc]",
        member: "Sort",
        kind: MemberKind::Text,
        words: &["asc", "desc", "ascending", "descending"],
    }],
    summary: "List the backups of a server",
    example: "pgmoneta-cli list-backup primary --sort desc",
    code: 2,
    workflow: "Backup",
    errors: ErrorCodes {
        unknown_server: 304,
        argument: 306,
        failed: 301,
        ..ErrorCodes::all(307)
    },
    describes: Describes::Backups,
    implemented: true,
    ..Command::BASE
};

/// The request to list the backups of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListBackupRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// The order of the list.
    pub sort: Sort,
}

/// The order of a list of backups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub enum Sort {
    /// Oldest first.
    #[default]
    #[serde(rename = "asc")]
    Ascending,
    /// Newest first.
    #[serde(rename = "desc")]
    Descending,
}

/// The C client checks the first letters only and sends the string unchanged.
impl TryFrom<String> for Sort {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Sort, &'static str> {
        match text.as_str() {
            text if text.starts_with("asc") => Ok(Sort::Ascending),
            text if text.starts_with("desc") => Ok(Sort::Descending),
            _ => Err("Sort is neither asc nor desc"),
        }
    }
}
