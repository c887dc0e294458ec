//! The repository: WAL archive and backups of each server.
//!
//! A [`BaseDirectory`] is `base_dir`, a [`Repository`] the directory `<base_dir>/<server>` in it:
//! the WAL archive, the backups, and `system.info` of the cluster that they belong to; `layout` has
//! the names. It neither connects to servers nor runs operations.

mod backup;
mod backup_info;
mod backups;
mod base_directory;
mod c_backup;
mod c_sums;
mod catalogue;
mod change_info;
mod directories;
mod file_reader;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod hand_over;
mod layout;
mod line;
mod links;
mod manifest;
mod manifest_file;
mod manifest_line;
mod manifest_writer;
mod origin;
mod pruned_wal;
mod remove;
mod repository_info;
mod server;
mod sharing;
mod signature;
mod sums;
mod sweep;
mod system_info;
mod verification_info;
mod wal_directory;
mod wal_end;
mod wal_gaps;
mod wal_histories;
mod wal_prune;
mod wal_start;

pub(crate) use backup::Backup;
pub(crate) use backup_info::{BackupInfo, TablespaceInfo};
pub use base_directory::BaseDirectory;
pub(crate) use c_backup::ListDifference;
pub(crate) use change_info::Metadata;
pub(crate) use file_reader::FileReader;
pub(crate) use layout::{
    BACKUP_WAL_DIRECTORY, CONFIG_DIRECTORY, DATA_DIRECTORY, INFO, MANIFEST, METADATA_FILES,
    TABLESPACES_DIRECTORY, is_in_repository,
};
pub(crate) use links::{StoredFile, link_target};
pub(crate) use manifest::Manifest;
pub(crate) use manifest_file::{Combined, ManifestFile};
pub(crate) use manifest_writer::ManifestWriter;
pub(crate) use origin::Origin;
pub use pruned_wal::PrunedWal;
pub(crate) use repository_info::RepositoryInfo;
pub use server::Repository;
pub(crate) use signature::Authenticity;
pub(crate) use system_info::SystemInfo;
pub(crate) use verification_info::{BadWal, NextWal, VerificationInfo, WalFindings};
pub use wal_directory::WalDirectory;
pub(crate) use wal_directory::{MeasuredWalFile, WalFile};
pub use wal_end::WalEnd;
pub(crate) use wal_gaps::Gap;
pub(crate) use wal_histories::Histories;
pub use wal_prune::{NeededWal, PrunePlan};

#[cfg(test)]
mod tests;
