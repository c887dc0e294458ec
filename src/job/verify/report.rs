//! The options and the result of a verification.

use crate::unit::Label;

/// The options of a verification.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `oldest`, `newest`, `latest`, a label, or an unambiguous prefix of one.
    pub backup: String,
    /// Whether to report the good files too.
    pub all: bool,
}

/// The result of a verification. The backup is good if and only if `failed` is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The backup that was verified.
    pub label: Label,
    /// Problems other than bad files, as text.
    pub warnings: Vec<String>,
    /// The files that are missing, damaged or unexpected.
    pub failed: Vec<FileReport>,
    /// The good files, if asked for.
    pub good: Vec<FileReport>,
}

/// The result for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileReport {
    /// Its path in the data directory, or in the backup if it is not part of that.
    pub path: String,
    /// The digest that was compared: `SHA256` (of the stored bytes), `BLAKE3` or `CRC32C` (of the
    /// plain bytes).
    pub algorithm: String,
    /// The digest in the manifest, hexadecimal; empty if the file is not listed.
    pub expected: String,
    /// The digest of the file, hexadecimal; empty if it could not be read.
    pub found: String,
    /// The reason of the failure; empty if good.
    pub reason: String,
    /// Whether it is proven that the file is missing or damaged, so that the backup cannot be
    /// restored; determined for the schedule only.
    pub proven: bool,
}

impl FileReport {
    /// The report of a file of which no digests were compared; `reason` is empty if it is good.
    pub(crate) fn without_digests(
        path: impl Into<String>,
        algorithm: &str,
        reason: impl Into<String>,
    ) -> FileReport {
        FileReport {
            path: path.into(),
            algorithm: algorithm.to_owned(),
            expected: String::new(),
            found: String::new(),
            reason: reason.into(),
            proven: false,
        }
    }
}
