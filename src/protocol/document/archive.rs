//! `archive`.

use serde::{Deserialize, Serialize};

use super::restore::{ARCHIVE_MODE, DRY_RUN, KEEP_SYNCHRONOUS, PlanMembers};
use super::values::{BackupMembers, List, ServerMembers};
use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Describes, Operand, Run};

/// Writes a backup to a tar file. The request is a [`super::RestoreRequest`].
pub static ARCHIVE: Command = Command {
    words: ("archive", None),
    name: "archive",
    operands: &[
        Operand::SERVER,
        Operand::BACKUP,
        Operand::POSITION,
        Operand::DIRECTORY,
    ],
    options: &[KEEP_SYNCHRONOUS, ARCHIVE_MODE, DRY_RUN],
    summary: "Write what a restore would write to a tar file",
    details: DETAILS,
    example: "pgmoneta-cli archive primary newest /srv/archives",
    code: 4,
    workflow: "archive",
    errors: ErrorCodes {
        unknown_server: 901,
        busy: 902,
        not_found: 900,
        argument: 900,
        unsupported: 904,
        no_space: 904,
        failed: 904,
        ..ErrorCodes::all(908)
    },
    run: Run::Operation,
    lost_response: "the archive gets its name only when it is complete: see the log of the daemon",
    describes: Describes::Backup,
    implemented: true,
};

const DETAILS: &str = "\
The file is <DIRECTORY>/archive-<SERVER>-<BACKUP>.tar with the suffixes of the compression and
of the encryption that are configured, such as .zstd.aes; it must not exist. The position is as
that of `restore`. `pgmoneta-cli decrypt` and `zstd -dc` decode the file, and `tar -x`, run by the
user of the server, extracts <SERVER>-<BACKUP>, which can be started.";

/// The response to an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ArchiveReply {
    /// The server of the backup.
    #[serde(flatten)]
    pub server: ServerMembers,
    /// The backup that was chosen; the C program has no more than a label, which is null.
    #[serde(flatten)]
    pub backup: BackupMembers,
    /// The path of the file.
    pub file_name: String,
    /// Its size in bytes; not in the C program. 0 for a dry run.
    pub file_size: u64,
    /// Its SHA-256, hexadecimal; not in the C program. Empty for a dry run.
    #[serde(rename = "SHA256")]
    pub sha256: String,
    /// What is in it, with the paths in the archive; not in the C program.
    pub plan: Option<PlanMembers>,
    /// What the user must know before the server is started; not in the C program.
    pub warnings: List<String>,
}
