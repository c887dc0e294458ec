//! The WAL receiver: one thread for each server, as long as the daemon runs.
//!
//! It accepts WAL of one cluster only, starts at the end of the archive, reports as flushed only
//! what is on stable storage, follows the server to new timelines, and reconnects after every
//! error. The pool seals complete segments: it compresses and encrypts them. The receiver publishes
//! its state in the status registry and returns only when the daemon stops. Restore reads the
//! archive elsewhere.

mod archive;
mod error;
mod gaps;
mod identity;
mod receiver;
mod seal;
mod sealer;
mod server_history;
mod session;
mod spare;
mod start;
mod stream;
mod tail;
mod validation;
mod wal_begin;

pub(crate) use gaps::check_gaps;
pub(super) use gaps::report_gaps;
pub use receiver::run;
pub(crate) use session::report_server_info;
pub use wal_begin::begin;
