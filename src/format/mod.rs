//! PostgreSQL's file formats and ours, bytes to values and back. No file is opened here.

mod backup_label;
mod backup_manifest;
mod config_file;
pub mod hex;
mod timeline_history;
pub mod wal;

pub use backup_label::BackupLabel;
pub use backup_manifest::{BackupManifest, ManifestEntry, WalRange};
pub use config_file::ConfigFile;
pub use timeline_history::{Switch, TimelineHistory};
