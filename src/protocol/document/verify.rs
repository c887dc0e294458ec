//! `verify`.

use serde::{Deserialize, Serialize};

use super::values::{List, ServerMembers};
use crate::error::{Error, ErrorKind};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Operand, Run};

/// In place of a backup: the WAL archive.
pub const WAL_ARCHIVE: &str = "wal";

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
              `wal` in place of a backup checks the archived WAL from the oldest backup on.\n\
              A directory is accepted, but ignored.",
    example: "pgmoneta-cli verify primary newest",
    code: 19,
    workflow: "verify",
    errors: ErrorCodes {
        unknown_server: 800,
        unsupported: 802,
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
    /// A label, a prefix of one, `oldest`, `newest`, `latest`, or [`WAL_ARCHIVE`], which is not in
    /// the C program.
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

/// The response to a verification. As in the C program it is a success also with bad files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VerifyReply {
    /// The server.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// The label of the backup, or [`WAL_ARCHIVE`].
    pub backup: String,
    /// The files.
    pub files: VerifiedFiles,
    /// Problems other than bad files; not in the C program.
    pub warnings: List<String>,
}

/// The files in the response to a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VerifiedFiles {
    /// The good ones, if they were requested.
    pub all: List<VerifiedFile>,
    /// The bad ones.
    pub failed: List<BadFile>,
}

/// A file that was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct VerifiedFile {
    /// The directory to which the C program restored it; `None` here.
    pub directory: Option<String>,
    /// Its path in the data directory, or in the backup if it is not part of that.
    pub file_name: String,
    /// The digest that was compared.
    pub hash_algorithm: String,
    /// The digest in the manifest, hexadecimal.
    pub original: String,
}

/// A bad file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct BadFile {
    /// The file.
    #[serde(flatten)]
    pub file: VerifiedFile,
    /// The digest of the file, hexadecimal.
    pub calculated: String,
    /// What is wrong with it; not in the C program.
    pub reason: String,
}

impl VerifyReply {
    /// The error for bad files, with which the client ends although the request succeeded.
    pub fn failure(&self) -> Option<Error> {
        let (backup, server) = (&self.backup, &self.server.server);
        let bad = match self.files.failed.len() {
            0 => return None,
            1 => "1 file is bad".to_owned(),
            count => format!("{count} files are bad"),
        };
        let what = match backup.as_str() {
            WAL_ARCHIVE => "the archived WAL".to_owned(),
            label => format!("backup {label}"),
        };
        let text = format!("{what} of server {server} cannot be trusted: {bad}");
        let hint = "take a new backup now, and find the cause: a disk error, or modified files";
        Some(Error::new(ErrorKind::Corrupt, text).with_hint(hint))
    }
}
