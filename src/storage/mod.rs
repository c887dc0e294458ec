//! Durable files: the only module that syncs, renames, links and unlinks.
//!
//! [`Durable`] values are created only here, after a sync, and an [`AtomicFile`] has its final name
//! only when its content is on stable storage. The content of the files is not interpreted here,
//! apart from the size and the zeros of WAL segments.

mod access;
mod atomic;
mod claim;
mod directory;
mod durable;
mod filesystem;
mod lock;
mod names;
mod pinned_path;
mod regular;
mod segment;
mod spare_segment;
mod staged;

pub use access::{Access, check_access};
pub use atomic::{AtomicFile, create_new, replace};
pub use claim::{Claim, ExistingClaim};
pub use directory::{
    create_directories, create_directory, create_new_directory, create_symlink, hard_link,
    is_empty_directory, remove_empty_directory, remove_file, remove_file_unsynced, remove_tree,
    rename, sync_directory,
};
pub use durable::Durable;
pub use filesystem::{Filesystem, Space};
pub use lock::DirectoryLock;
pub use names::{PARTIAL_SUFFIX, is_temporary};
pub use pinned_path::{PinnedPath, PinnedPaths};
pub use regular::{open_file, read_file};
pub use segment::{SegmentFile, no_durable_position, sync_archive_end, written_length};
pub use spare_segment::SpareSegment;
pub use staged::StagedFile;
