//! What a restore is asked, and what it answers.

use std::path::PathBuf;

use crate::repository::{Backup, TablespaceInfo};

/// What a restore is asked.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `oldest`, `newest`, `latest`, a label, or an unambiguous prefix of one.
    pub backup: String,
    /// The position to recover to, as the command line has it; `None` is the end of the backup.
    pub position: Option<String>,
    /// The directory below which `<server>-<label>` is made; absolute.
    pub directory: PathBuf,
    /// Where tablespaces go: name, OID or location on the server, and the new directory.
    pub tablespaces: Vec<(String, PathBuf)>,
    /// Whether `synchronous_standby_names` stays as the backup has it.
    pub keep_synchronous: bool,
    /// Whether the restored server does not archive its WAL.
    pub archive_off: bool,
    /// Whether to stop before the first byte is written.
    pub dry_run: bool,
}

/// What a restore did, or would do.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The backup that was chosen.
    pub backup: Backup,
    /// What was written where.
    pub plan: Plan,
}

/// What a restore writes where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The new data directory.
    pub target: PathBuf,
    /// The tablespaces and their new directories.
    pub tablespaces: Vec<(TablespaceInfo, PathBuf)>,
    /// Files of the backup.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The WAL segments and history files for `pg_wal`, by name.
    pub wal: Vec<String>,
    /// Their bytes.
    pub wal_bytes: u64,
    /// Where recovery will end, in words.
    pub position: String,
    /// The settings that are written, as `name = value` without quotes.
    pub settings: Vec<String>,
    /// What a person must know before the server is started.
    pub warnings: Vec<String>,
}
