//! The options and the result of a restore.

use std::path::PathBuf;

use super::recovery_target::RecoveryTarget;
use crate::repository::{Backup, TablespaceInfo};

/// The options of a restore.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `oldest`, `newest`, `latest`, a label, or an unambiguous prefix of one.
    pub backup: String,
    /// Where recovery ends.
    pub target: RecoveryTarget,
    /// The directory below which `<server>-<label>` is created; absolute.
    pub directory: PathBuf,
    /// Tablespaces by name, OID or location on the server, and their new directories.
    pub tablespaces: Vec<(String, PathBuf)>,
    /// Whether `synchronous_standby_names` is kept as in the backup.
    pub keep_synchronous: bool,
    /// Whether the restored server does not archive its WAL.
    pub archive_off: bool,
    /// Whether to check everything and write nothing.
    pub dry_run: bool,
}

/// The result of a restore or of a dry run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The backup that was chosen.
    pub backup: Backup,
    /// What was written, or would be.
    pub summary: Summary,
}

/// What a restore writes, for the user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The new data directory.
    pub data_directory: PathBuf,
    /// The tablespaces and their new directories.
    pub tablespaces: Vec<(TablespaceInfo, PathBuf)>,
    /// The number of files of the backup.
    pub files: u64,
    /// The total size of these files in bytes.
    pub bytes: u64,
    /// The WAL segments and history files for `pg_wal`, by name.
    pub wal: Vec<String>,
    /// The total size of these WAL files in bytes.
    pub wal_bytes: u64,
    /// Where recovery will end, as text.
    pub stops_at: String,
    /// The settings that are written, as `name = value` without quotes.
    pub settings: Vec<String>,
    /// What the user must know before the server is started.
    pub warnings: Vec<String>,
}
