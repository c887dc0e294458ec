//! The commands: each takes its request, runs its job and makes its response.

mod annotate;
mod archive;
mod catalogue;
mod check;
mod delete;
mod file;
mod progress;
mod restore;
mod retain;
mod retention;
mod status;
mod verify;
mod wal_begin;

pub(super) use annotate::annotate;
pub(super) use archive::archive;
pub(super) use catalogue::{backup, info, list_backup};
pub(super) use check::check;
pub(super) use delete::delete;
pub(super) use file::file;
pub(super) use progress::progress;
pub(super) use restore::restore;
pub(super) use retain::{expunge, retain};
pub(super) use retention::retention;
pub(super) use status::{ping, status, status_details};
pub(super) use verify::verify;
pub(super) use wal_begin::wal_begin;
