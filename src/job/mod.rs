//! The operations of the daemon: one module for each, most with a function `run`.

pub(crate) mod annotate;
mod authentic;
pub(crate) mod backup;
pub(crate) mod catalogue;
pub(crate) mod collect;
pub mod context;
pub(crate) mod convert_file;
pub(crate) mod delete;
mod info_check;
pub mod pace;
pub(crate) mod refresh;
pub(crate) mod replay;
pub(crate) mod restore;
pub(crate) mod retain;
pub(crate) mod retention;
pub(crate) mod room;
pub(crate) mod scrub;
pub(crate) mod status;
pub(crate) mod verify;
pub mod wal;
