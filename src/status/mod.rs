//! The state that all threads share: the WAL receivers, the running operations and their progress.
//!
//! Jobs and receivers write it, `status` and `progress` read it. [`Registry::begin`] refuses an
//! operation that conflicts with a running one; dropping its [`OperationGuard`] ends the operation,
//! also after a panic. Nothing is stored: after a restart the state is read from the repository and
//! the servers.

mod progress;
mod receiver;
mod registry;

pub use progress::{Progress, Snapshot};
pub use receiver::{Phase, ReceiverState};
pub use registry::{Activity, OperationGuard, Registry};
