//! From the outcomes of jobs to the members of documents.
//!
//! The names are those of the C program, and mean what they mean there; what it does not have is ours and says so.

mod beginning;
mod catalogue;
mod progress;
mod restore;
mod status;
mod verify;

pub(super) use beginning::beginning;
pub(super) use catalogue::{backup, info, list};
pub(super) use progress::progress;
pub(super) use restore::{restore, restore_options};
pub(super) use status::{status, status_details};
pub(super) use verify::verify;
