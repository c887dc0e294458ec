//! `info`.

use serde::{Deserialize, Serialize};

use super::values::{BackupMembers, List, ServerMembers, TablespaceMembers, Valid, lsn};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Describes, Operand};
use crate::unit::Lsn;

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

/// The response with one backup.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InfoReply {
    /// Its server.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// The backup.
    #[serde(flatten)]
    pub backup: BackupMembers,
    /// The upper half of the LSN of the checkpoint record.
    #[serde(rename = "CheckpointHiLSN")]
    pub checkpoint_high: Option<u32>,
    /// The lower half.
    #[serde(rename = "CheckpointLoLSN")]
    pub checkpoint_low: Option<u32>,
    /// The upper half of the LSN where recovery starts.
    #[serde(rename = "StartHiLSN")]
    pub start_high: Option<u32>,
    /// The lower half.
    #[serde(rename = "StartLoLSN")]
    pub start_low: Option<u32>,
    /// The timeline of that LSN.
    pub start_timeline: Option<u32>,
    /// The upper half of the LSN where recovery is consistent.
    #[serde(rename = "EndHiLSN")]
    pub end_high: Option<u32>,
    /// The lower half.
    #[serde(rename = "EndLoLSN")]
    pub end_low: Option<u32>,
    /// The timeline of that LSN.
    pub end_timeline: Option<u32>,
    /// The comments, as in `backup.info`.
    pub comments: String,
    /// The comments as keys and texts; not in the C program.
    pub annotations: List<CommentMembers>,
    /// Whether it is excluded from retention.
    pub keep: Option<bool>,
    /// Whether it is valid.
    pub valid: Valid,
    /// Whether this program supports its format; not in the C program.
    pub readable: Option<bool>,
    /// Whether its HMAC is valid; not in the C program.
    pub authentic: Option<bool>,
    /// Its duration in seconds.
    pub elapsed: f64,
    /// How many tablespaces it has.
    pub number_of_tablespaces: usize,
    /// The tablespaces.
    pub tablespaces: List<TablespaceMembers>,
    /// The name of the first WAL segment that it needs.
    #[serde(rename = "WAL")]
    pub wal: String,
    /// Bytes of WAL from its start to the end of the archive; not in the C program.
    pub distance: Option<u64>,
    /// Bytes of WAL from the start of the next older backup to its own; not in the C program.
    pub delta: u64,
    /// Bytes of its stored files that no other backup has; not in the C program.
    pub own_size: Option<u64>,
    /// Bytes of its stored files that another backup has too, stored once; not in the C program.
    pub shared_size: Option<u64>,
    /// The warnings of the server; not in the C program.
    pub warnings: List<String>,
}

/// A comment of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CommentMembers {
    /// Its key.
    pub key: String,
    /// Its text.
    pub comment: String,
}

impl InfoReply {
    /// The LSN of the checkpoint record.
    pub fn checkpoint(&self) -> Option<Lsn> {
        lsn(self.checkpoint_high, self.checkpoint_low)
    }

    /// The LSN where recovery starts.
    pub fn start(&self) -> Option<Lsn> {
        lsn(self.start_high, self.start_low)
    }

    /// The LSN where recovery is consistent.
    pub fn end(&self) -> Option<Lsn> {
        lsn(self.end_high, self.end_low)
    }
}
