//! Durable files: the only place that syncs, renames, links and unlinks.
//!
//! What is handed out as done is on stable storage: [`Durable`] values are made here and nowhere else, and an
//! [`AtomicFile`] has no name until all of it is. What the files mean is not known here.

mod atomic;
mod claim;
mod directory;
mod durable;
mod filesystem;
mod lock;
mod place;
mod regular;
mod secrecy;
mod segment;
mod spare;
mod staged;

pub use atomic::{AtomicFile, create_new, replace};
pub use claim::{Claim, Claimed};
pub use directory::{
    create_directories, create_directory, create_new_directory, discard_file, hard_link,
    is_empty_directory, link_relative, remove_empty_directory, remove_file, remove_tree, rename,
    sync_directory,
};
pub use durable::Durable;
pub use filesystem::{Filesystem, Space};
pub use lock::DirectoryLock;
pub use place::{Place, Places};
pub use regular::{open_file, read_file};
pub use secrecy::{Secrecy, check_secrecy};
pub use segment::{SegmentFile, nothing_durable, prove_end, written_length};
pub use spare::Spare;
pub use staged::StagedFile;
