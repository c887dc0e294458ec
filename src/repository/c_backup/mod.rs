//! Reading a backup of the C program: `<server>/backup/<label>` with `backup.info`, the list of the
//! files in `backup.manifest`, the digests of the stored files in `backup.sha512`, and the files
//! in `data` and `tblspc_<name>`. An unchanged file is a symbolic link to that of another backup.
//!
//! What is stored where is decided by what is there, not by what `backup.info` says: the server's
//! `backup_manifest` has the size and the digest of every file, and the name on the disk tells how
//! it is stored. Nothing is written here: a link gets another text only when the backup to which it
//! leads is removed (`hand_over`).

mod builder;
mod chain;
mod checksums;
mod combined;
mod csv;
mod directory;
mod entries;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod links;
mod manifest;
mod open;
mod sums;
mod tree;
mod wal;

pub(super) use chain::read_manifest;
pub(crate) use checksums::ListDifference;
pub(super) use checksums::check_lists;
pub(super) use combined::CombinedReader;
pub(super) use directory::CDirectory;
pub(super) use open::{open_combined, open_stored};
pub(super) use sums::missing_entry;
