//! What lies where for one server, and what of it is complete.
//!
//! A [`BaseDirectory`] is `base_dir`, a [`Repository`] the directory `<base_dir>/<server>` in it: the WAL archive, the
//! backups and the name card of the cluster that they belong to; `layout` has every name. It reads and names things; it
//! neither talks to servers nor runs operations.

mod backup;
mod backup_info;
mod base_directory;
mod beginning;
mod directories;
mod layout;
mod manifest;
mod manifest_line;
mod manifest_writer;
mod origin;
mod repository_info;
mod root;
mod signature;
mod sums;
mod sweep;
mod system_info;
mod wal_directory;
mod wal_end;
mod wal_gaps;

pub use backup::Backup;
pub use backup_info::{BackupInfo, TablespaceInfo};
pub use base_directory::BaseDirectory;
pub use layout::{ABOUT, INFO, MANIFEST, SUMS};
pub use manifest::{Manifest, ManifestFile};
pub use manifest_writer::ManifestWriter;
pub use origin::Origin;
pub use repository_info::RepositoryInfo;
pub use root::Repository;
pub use signature::Authenticity;
pub use system_info::SystemInfo;
pub use wal_directory::{WalDirectory, WalFile};
pub use wal_end::WalEnd;
pub use wal_gaps::Gap;

#[cfg(test)]
mod tests;
