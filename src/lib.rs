//! pgmoneta is a backup program for PostgreSQL: the daemon receives WAL and takes base backups, the
//! client sends it commands, and a restore recovers to any point in time.
//!
//! The modules form layers; each uses only lower ones (`tests/layering.rs` checks it). From the
//! top: programs (`app`), the daemon (`daemon`), operations (`job`), then PostgreSQL
//! (`pg`), the repository (`repository`), the management protocol (`protocol`) and the shared
//! state (`status`), then formats (`codec`, `format`, `config`, `vault`), then the system
//! (`storage`, `crypto`, `net`, `logging`, `sys`, `pool`), and at the bottom basic
//! types (`unit`, `error`).

pub mod app;
pub mod codec;
pub mod config;
pub mod crypto;
pub mod daemon;
pub mod error;
pub mod format;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod job;
mod logging;
mod net;
pub mod pg;
pub mod pool;
pub mod protocol;
pub mod repository;
pub mod status;
pub mod storage;
pub mod sys;
pub mod unit;
pub mod vault;

/// The version of the programs, which is in every document too.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
