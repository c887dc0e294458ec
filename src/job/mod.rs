//! The operations of the daemon: one module for each, most with a function `run`.

mod authentic;
pub mod backup;
pub mod catalogue;
pub mod context;
pub mod refresh;
pub mod replay;
pub mod restore;
pub mod status;
pub mod verify;
pub mod wal;
