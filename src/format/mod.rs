//! Parsers of PostgreSQL's file formats. They work on bytes; no file is opened here.

mod backup_label;
mod backup_manifest;
mod config_file;
mod control_file;
pub mod hex;
mod parameters;
mod server_configuration;
pub mod tar;
mod timeline_history;
pub mod wal;

pub use backup_label::BackupLabel;
pub use backup_manifest::{BackupManifest, ManifestEntry, WalRange};
pub use config_file::ConfigFile;
pub use control_file::ControlFile;
pub use parameters::{LIMITS, Parameters};
pub use server_configuration::ConfigurationLine;
pub use timeline_history::{Switch, TimelineHistory};
