//! Builds the documents of the responses from the outcomes of the jobs, and the options of the jobs
//! from those of the requests.

mod catalogue;
mod progress;
mod restore;
mod status;
mod verify;
mod wal_begin;

pub(super) use catalogue::{backup, info, list};
pub(super) use progress::progress;
pub(super) use restore::{restore, restore_options};
pub(super) use status::{ping, status, status_details};
pub(super) use verify::{verify, verify_options};
pub(super) use wal_begin::wal_begin;
