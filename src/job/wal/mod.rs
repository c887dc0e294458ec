//! The WAL receiver: from the first second of the daemon to the last, one thread for each server.
//!
//! It keeps the archive bound to one cluster, starts where the archive ends, acknowledges what is on stable storage and
//! nothing else, follows the server from timeline to timeline, and comes back by itself whatever breaks. Complete
//! segments are sealed (compressed, encrypted) by the pool. What it meets is on the board; it returns only when the daemon
//! stops. Restoring is not done here.

mod archive;
mod beginning;
mod gaps;
mod lineage;
mod owner;
mod probe;
mod proof;
mod receiver;
mod seal;
mod sealer;
mod session;
mod start;
mod stream;
mod trouble;

pub use beginning::{Beginning, begin};
pub use gaps::look_for_gaps;
pub use receiver::run;
pub use session::note_facts;
