//! `list-backup`.

use serde::{Deserialize, Serialize};

use super::values::{BackupMembers, List, ParentMembers, ServerMembers, Valid};
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
        unsupported: 301,
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

/// The response with the backups of a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListBackupReply {
    /// The server.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// How many backups there are.
    pub number_of_backups: usize,
    /// The backups, in the requested order.
    pub backups: List<ListedBackup>,
}

/// A backup in the response to `list-backup`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListedBackup {
    /// The name of its server.
    pub server: String,
    /// Its parent.
    #[serde(flatten)]
    pub parent: ParentMembers,
    /// What `status details` has too.
    #[serde(flatten)]
    pub summary: BackupSummary,
}

/// A backup in a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BackupSummary {
    /// The backup.
    #[serde(flatten)]
    pub backup: BackupMembers,
    /// The comments, as in `backup.info`.
    pub comments: String,
    /// Whether it is excluded from retention.
    pub keep: Option<bool>,
    /// Whether it is valid.
    pub valid: Valid,
    /// Whether this program supports its format; not in the C program.
    pub readable: Option<bool>,
    /// Whether its HMAC is valid; not in the C program.
    pub authentic: Option<bool>,
    /// Bytes of its stored files that were linked to an older backup when it was made; not in the C
    /// program.
    pub linked_size: u64,
    /// Bytes of WAL from its start to the end of the archive.
    #[serde(rename = "WAL")]
    pub wal: u64,
    /// Bytes of WAL from the start of the next older backup to its own.
    pub delta: u64,
    /// Its duration in seconds; not in the C program.
    pub elapsed: f64,
    /// The LSN where recovery is consistent; not in the C program.
    pub end: String,
    /// The timeline of that LSN; not in the C program.
    pub end_timeline: u32,
    /// The version of PostgreSQL; not in the C program.
    pub version: String,
}
