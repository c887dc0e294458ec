//! What the daemon does: one folder or file for each verb, each with one `run`.

mod authentic;
pub mod backup;
pub mod catalogue;
pub mod context;
mod lanes;
pub mod refresh;
pub mod replay;
pub mod restore;
pub mod status;
pub mod verify;
pub mod wal;
