//! What the daemon does: one folder or file for each verb, each with one `run`.

pub mod backup;
pub mod catalogue;
pub mod context;
pub mod status;
pub mod wal;
