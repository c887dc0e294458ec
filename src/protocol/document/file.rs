//! `compress`, `decompress`, `encrypt` and `decrypt` of one file.

use serde::{Deserialize, Serialize};

use crate::protocol::code::ErrorCodes;
use crate::protocol::command::{Command, Operand, Run};

/// What the four commands have in common.
const FILE_COMMAND: Command = Command {
    operands: &[Operand::path("FILE", "SourceFile")],
    details: DETAILS,
    run: Run::Unbounded,
    implemented: true,
    ..Command::BASE
};

const DETAILS: &str = "\
The file is on the host of the daemon, and not in its repository. The original is removed once
the result is on stable storage and was read back; an existing result is not replaced. If no
daemon is running, pgmoneta-cli does it itself, with zstd and AES-256.";

/// Encrypts a file.
pub static ENCRYPT: Command = Command {
    words: ("encrypt", None),
    name: "encrypt",
    summary: "Encrypt a file",
    example: "pgmoneta-cli encrypt /srv/export/accounts.csv",
    code: 15,
    workflow: "aes",
    errors: ErrorCodes {
        not_found: 1500,
        ..ErrorCodes::all(1503)
    },
    ..FILE_COMMAND
};

/// Decrypts a file.
pub static DECRYPT: Command = Command {
    words: ("decrypt", None),
    name: "decrypt",
    summary: "Decrypt a file",
    example: "pgmoneta-cli decrypt /srv/export/accounts.csv.aes",
    code: 14,
    workflow: "aes",
    errors: ErrorCodes {
        not_found: 1400,
        ..ErrorCodes::all(1403)
    },
    ..FILE_COMMAND
};

/// Compresses a file.
pub static COMPRESS: Command = Command {
    words: ("compress", None),
    name: "compress",
    summary: "Compress a file",
    example: "pgmoneta-cli compress /srv/export/accounts.csv",
    code: 17,
    errors: ErrorCodes::all(2101),
    ..FILE_COMMAND
};

/// Decompresses a file.
pub static DECOMPRESS: Command = Command {
    words: ("decompress", None),
    name: "decompress",
    summary: "Decompress a file",
    example: "pgmoneta-cli decompress /srv/export/accounts.csv.zstd",
    code: 16,
    errors: ErrorCodes::all(2001),
    ..FILE_COMMAND
};

/// The request to convert one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileRequest {
    /// Its absolute path.
    pub source_file: String,
}

/// The response to a conversion.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FileReply {
    /// The path of the result.
    pub destination_file: String,
}
