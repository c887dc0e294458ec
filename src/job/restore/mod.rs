//! Restore: writes a backup and the WAL that it needs to a new directory, ready for PostgreSQL to recover to a
//! position. The position is proven to be reachable before one byte is written, every byte is checked against the
//! manifest while it is written, and `global/pg_control` gets its name last: what can be started is complete.

mod access;
mod adapt;
mod choice;
mod config_files;
mod configuration;
mod limits;
mod options;
mod outside;
mod places;
mod plan;
mod position;
mod reach;
mod recovery_files;
mod replayed;
mod run;
mod scan;
mod settings;
mod target;
mod write;

pub use options::{Options, Outcome, Plan};
pub use run::run;
