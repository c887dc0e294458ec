//! Builds the response documents from the outcomes of the jobs.
//!
//! The members are those of the C program, with the same meaning. Members that it does not have are
//! noted as such.

mod catalogue;
mod progress;
mod restore;
mod status;
mod verify;
mod wal_begin;

pub(super) use catalogue::{backup, info, list};
pub(super) use progress::progress;
pub(super) use restore::{restore, restore_options};
pub(super) use status::{status, status_details};
pub(super) use verify::verify;
pub(super) use wal_begin::wal_begin;
