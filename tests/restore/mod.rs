//! Restore and verify, and the code that they use.

mod after_recovery;
mod archive;
mod branches;
mod copied_backups;
mod created_tablespaces;
mod dry_run;
mod external_effects;
mod in_place_tablespaces;
mod limits;
mod mixed_storage;
mod output;
mod recovery_targets;
mod restore_dirs;
mod restore_point_names;
mod scenario;
mod target_times;
mod timelines;
mod unknown_version;
mod verify;
mod wal_records;
