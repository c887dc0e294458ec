//! `verify`.

use serde::{Deserialize, Serialize};

use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Operand, Run};

/// Reads a backup and compares it with its manifest.
pub static VERIFY: Command = Command {
    words: ("verify", None),
    name: "verify",
    operands: &[
        Operand::SERVER,
        Operand::BACKUP,
        // The C client requires the directory before `failed` or `all`.
        Operand::DIRECTORY.optional(),
        Operand {
            words: &["failed", "all"],
            ..Operand::text("failed|all", "Files").optional()
        },
    ],
    summary: "Read every byte of a backup and check it",
    details: "Bad files are listed; with `all` the good ones too.\n\
              A directory is accepted, but ignored.",
    example: "pgmoneta-cli verify primary newest",
    code: 19,
    workflow: "verify",
    errors: ErrorCodes {
        unknown_server: 800,
        failed: 802,
        ..ErrorCodes::all(806)
    },
    run: Run::Operation,
    implemented: true,
    ..Command::BASE
};

/// The request to verify one backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VerifyRequest {
    /// The name of the server, unchecked.
    pub server: String,
    /// A label, a prefix of one, `oldest`, `newest` or `latest`.
    pub backup: String,
    /// The directory to which the C program restores the backup first; ignored here.
    pub directory: Option<String>,
    /// The files to list.
    pub files: Files,
}

/// Which files a verification lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", from = "String")]
pub enum Files {
    /// The bad ones.
    #[default]
    Failed,
    /// The good ones too.
    All,
}

/// As in the C program any other word is `failed`.
impl From<String> for Files {
    fn from(text: String) -> Files {
        if text.eq_ignore_ascii_case("all") {
            Files::All
        } else {
            Files::Failed
        }
    }
}
