//! The state of a server that all threads share: its WAL receiver, the running operations and their
//! progress. Each server has its own lock.
//!
//! Jobs and receivers write it, `status` and `progress` read it. `ServerState::begin` refuses an
//! operation that conflicts with a running one; dropping its `OperationGuard` ends the operation,
//! also after a panic. Nothing is stored: after a restart the state is read from the repository and
//! the servers.

mod claims;
mod disks;
mod forecast;
mod metrics;
mod progress;
mod receiver;
mod retention;
mod scope;
mod server;
mod verification;

pub(crate) use claims::{Claim, Claims};
pub(crate) use disks::DiskNews;
pub use disks::Disks;
pub use metrics::{METRICS, exposition};
pub(crate) use progress::Progress;
pub use receiver::{Phase, ReceiverState};
pub(crate) use retention::RetentionMemory;
pub(crate) use scope::Scope;
pub(crate) use server::{Activity, ServerState};
pub use verification::VerificationState;
