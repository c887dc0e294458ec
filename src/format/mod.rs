//! Parsers of PostgreSQL's file formats, and a writer of tar archives. They work on bytes; no file
//! is opened here.

mod backup_label;
mod backup_manifest;
mod comments;
mod config_file;
mod control_file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod hex;
mod increment;
mod needed_wal;
mod parameters;
mod server_configuration;
pub(crate) mod tar;
pub(crate) mod tar_writer;
mod timeline_history;
pub mod wal;

pub(crate) use backup_label::{BackupLabel, without_increment};
pub use backup_manifest::BackupManifest;
pub(crate) use backup_manifest::{ManifestEntry, ManifestSummary, ReplacedFile, WalRange};
pub(crate) use comments::Comments;
pub(crate) use config_file::ConfigFile;
pub use control_file::ControlFile;
pub(crate) use increment::{IncrementHeader, blocks_of_size, size_of_blocks};
pub(crate) use needed_wal::NeededWal;
pub(crate) use parameters::{LIMITS, Parameters};
pub(crate) use server_configuration::ConfigurationLine;
pub(crate) use timeline_history::Switch;
pub use timeline_history::TimelineHistory;
