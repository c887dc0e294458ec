//! What a verification is asked, and what it found.

use crate::unit::Label;

/// What a verification is asked.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `oldest`, `newest`, `latest`, a label, or an unambiguous prefix of one.
    pub backup: String,
    /// Whether to report the good files too.
    pub all: bool,
}

/// What a verification found. The backup is good if and only if nothing failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The backup.
    pub label: Label,
    /// What a person must know of it although no file is bad.
    pub warnings: Vec<String>,
    /// The files that are not what they must be.
    pub failed: Vec<FileReport>,
    /// The good files, if asked for.
    pub good: Vec<FileReport>,
}

/// What was found of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Its path in the data directory, or its place in the repository if it is not part of that.
    pub path: String,
    /// The digest that was compared: `SHA256` (of the stored bytes), `BLAKE3` or `CRC32C` (of the plain bytes).
    pub algorithm: String,
    /// What the manifest says, hexadecimal; empty if the file should not be there.
    pub expected: String,
    /// What was found, hexadecimal; empty if it could not be read.
    pub found: String,
    /// What is wrong, in words; empty if nothing is.
    pub reason: String,
}
