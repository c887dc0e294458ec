//! The names of files and directories in the repository of a server.

use std::path::Path;

/// The directory of the WAL archive.
pub(super) const WAL_DIRECTORY: &str = "wal";

/// The directory of the backups, one subdirectory for each label.
///
/// The C program looks for backups in a directory `backup` and takes every subdirectory for one: it
/// restores those with a `backup.info` although their layout is different, `newest` and `oldest`
/// find even those without, and its retention deletes them. It ignores a directory of another name.
pub(super) const BACKUP_DIRECTORY: &str = "basebackup";

/// The directory of the backups of the C program and of version 0.1.0 of this program.
pub(super) const C_BACKUP_DIRECTORY: &str = "backup";

/// Exists while there are complete backups: if their directory is empty then, it is not mounted.
pub(super) const BACKUPS_EXIST: &str = "backup.made";

/// The system identifier of the cluster, and the followed timeline.
pub(super) const SYSTEM_INFO: &str = "system.info";

/// Exists while the WAL archive may start empty.
pub(super) const WAL_START: &str = "wal.begin";

/// Which WAL was removed because no backup needs it.
pub(super) const WAL_PRUNED: &str = "wal.pruned";

/// When backups and WAL were verified.
pub(super) const VERIFICATION_INFO: &str = "verification.info";

/// The prefix of the directory of an incomplete backup.
pub(super) const STAGING_PREFIX: &str = ".new-";

/// The prefix of the directory of a backup that is being removed.
pub(super) const REMOVAL_PREFIX: &str = ".del-";

/// The lock of a repository, in `base_dir`.
pub(super) const LOCK: &str = ".lock";

/// Marks `base_dir` as a repository.
pub(super) const REPOSITORY_INFO: &str = "repository.info";

/// In the directory of a backup: the files of the data directory.
pub const DATA_DIRECTORY: &str = "data";

/// In the directory of a backup: the files of each tablespace, in a directory named by its OID.
pub const TABLESPACES_DIRECTORY: &str = "tblspc";

/// In the directory of a backup: the WAL that it needs.
pub const BACKUP_WAL_DIRECTORY: &str = "wal";

/// In the directory of a backup: the configuration files from outside of the data directory.
pub const CONFIG_DIRECTORY: &str = "config";

/// In the directory of a backup: its summary.
pub const INFO: &str = "backup.info";

/// In the directory of a backup: the list of its files.
pub const MANIFEST: &str = "backup.manifest";

/// In the directory of a backup: the digests of its stored files.
pub const SUMS: &str = "backup.sha256";

/// As [`SUMS`], in a backup of the C program.
pub(super) const C_BACKUP_SUMS: &str = "backup.sha512";

/// Files in the directory of a backup that are not part of the cluster.
pub const METADATA_FILES: [&str; 3] = [INFO, MANIFEST, SUMS];

/// Whether a directory is in a repository: it or one above has the files of `base_dir`, of a server
/// or of a backup. It should be canonical.
pub fn is_in_repository(directory: &Path) -> bool {
    let marks = [REPOSITORY_INFO, SYSTEM_INFO, INFO];
    let mut above = directory.ancestors();
    above.any(|above| marks.iter().any(|mark| above.join(mark).exists()))
}
