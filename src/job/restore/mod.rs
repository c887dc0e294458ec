//! Restore: writes a backup and the WAL that it needs to a new directory, ready for PostgreSQL to
//! recover to a target. Before the first write the target is verified to be reachable, every byte
//! is checked against the manifest while it is written, and `global/pg_control` gets its name last:
//! a data directory that can be started is complete. The same can be written to an archive.

mod access;
pub(crate) mod archive;
mod choice;
mod cluster_files;
mod combined_lists;
mod config_changes;
mod configuration;
mod contents;
mod created_tablespaces;
mod destination;
mod external_config;
mod external_effects;
mod in_place_tablespaces;
mod limits;
mod options;
mod output;
mod permission;
mod plan;
mod recovery_end;
mod recovery_files;
mod recovery_target;
mod restore_dirs;
mod run;
mod scan;
mod settings;
mod source;
mod write;

pub(crate) use options::{Options, Outcome, Summary};
pub(crate) use recovery_target::RecoveryTarget;
pub(crate) use run::run;
