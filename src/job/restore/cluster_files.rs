//! The files of a cluster that a restore treats differently from the others.

use super::recovery_target::Role;
use crate::format::ControlFile;

/// The configuration file that PostgreSQL reads last, and that programs may write.
pub(super) const AUTO_CONF: &str = "postgresql.auto.conf";

/// The file with the recovery settings.
pub(super) const RECOVERY_CONF: &str = "pg_wal/pgmoneta_recovery.conf";

/// Files of a backup that are not restored: signal files, and state of the original server.
pub(super) const EXCLUDED_FILES: [&str; 7] = [
    "tablespace_map",
    "recovery.signal",
    "standby.signal",
    "promote",
    "postmaster.pid",
    "postmaster.opts",
    "backup_label.old",
];

/// The file that gets its name last: without it PostgreSQL does not start.
pub(super) const CONTROL_FILE: &str = ControlFile::PATH;

/// The signal file in the data directory.
pub(super) fn signal(role: Role) -> &'static str {
    match role {
        Role::Primary => "recovery.signal",
        Role::Replica => "standby.signal",
    }
}
