//! The one shared state: who does what, and how far it has come.
//!
//! Jobs and receivers write it, `status`, `progress` and metrics read it. It is the gate too: [`Board::begin`] lets one
//! operation of a kind run for a server at a time, and its [`Guard`] ends with the job, whatever ends it. Nothing
//! here is stored: after a restart it is rebuilt from the repository and the servers.

mod board;
mod progress;
mod receiver;

pub use board::{Activity, Board, Guard};
pub use progress::{Progress, Snapshot};
pub use receiver::{Phase, ReceiverState};
