//! The names of what lies in the repository of a server.

/// The WAL archive.
pub(super) const WAL: &str = "wal";

/// The backups, one directory for each label.
///
/// The C program looks for backups in a directory `backup` and takes every directory there for one: it restores those
/// that have a `backup.info` without noticing that their layout is another one, its words `newest` and `oldest` find
/// those that have none, and its retention works on them. In a directory of another name it sees nothing.
pub(super) const BACKUPS: &str = "basebackup";

/// The backups of the C program, and where version 0.1.0 of this program had its own.
pub(super) const BACKUPS_OF_C: &str = "backup";

/// There once a backup was complete: a directory without backups is not mounted then.
pub(super) const MADE: &str = "backup.made";

/// The cluster that the archive belongs to.
pub(super) const SYSTEM: &str = "system.info";

/// There while the WAL archive may begin.
pub(super) const BEGINNING: &str = "wal.begin";

/// How the directory of a backup begins that is being built.
pub(super) const STAGING: &str = ".new-";

/// In the directory of a backup: what is known of it without opening it.
pub const INFO: &str = "backup.info";

/// In the directory of a backup: every file of it.
pub const MANIFEST: &str = "backup.manifest";

/// In the directory of a backup: the digests of its stored files.
pub const SUMS: &str = "backup.sha256";

/// As [`SUMS`], in a backup of the C program.
pub(super) const SUMS_OF_C: &str = "backup.sha512";

/// Files in the directory of a backup that are about it, not of it.
pub const ABOUT: [&str; 3] = [INFO, MANIFEST, SUMS];
