//! Durable files: the only module that syncs, renames, links and unlinks.
//!
//! `Durable` values are created only here, after a sync, and an `AtomicFile` has its final name
//! only when its content is on stable storage. The content of the files is not interpreted here,
//! apart from the size and the zeros of WAL segments.

mod access;
mod atomic;
mod claim;
mod directory;
mod durable;
mod filesystem;
mod link;
mod lock;
mod names;
mod pinned_path;
mod regular;
mod segment;
mod spare_segment;
mod staged;

pub(crate) use access::{Access, check_access};
pub(crate) use atomic::{AtomicFile, create_new, replace, temporary_path};
pub(crate) use claim::{Claim, ExistingClaim};
pub(crate) use directory::{
    check_create_directory, create_directories, create_directory, create_new_directory,
    create_symlink, for_each_file, hard_link, is_empty_directory, remove_empty_directory,
    remove_file, remove_file_unsynced, remove_temporary, remove_tree, remove_tree_interruptibly,
    rename, sync_directory,
};
pub(crate) use durable::Durable;
pub(crate) use filesystem::{Filesystem, Space};
#[cfg(test)]
pub(crate) use link::faults as link_faults;
pub(crate) use link::{replace_by_copy, replace_by_hard_link, replace_by_symlink};
pub(crate) use lock::DirectoryLock;
pub(crate) use names::{PARTIAL_SUFFIX, is_temporary};
pub(crate) use pinned_path::{PinnedPath, PinnedPaths};
pub(crate) use regular::{open_file, open_file_nofollow, read_file};
pub use segment::SegmentFile;
pub(crate) use segment::{no_durable_position, sync_archive_end, written_length};
pub(crate) use spare_segment::SpareSegment;
pub(crate) use staged::StagedFile;
