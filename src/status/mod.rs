//! The state of a server that all threads share: its WAL receiver, the running operations and their
//! progress. Each server has its own lock.
//!
//! Jobs and receivers write it, `status` and `progress` read it. `ServerState::begin` refuses an
//! operation that conflicts with a running one; dropping its `OperationGuard` ends the operation,
//! also after a panic. Nothing is stored: after a restart the state is read from the repository and
//! the servers.

mod activity;
mod claims;
mod disks;
mod forecast;
mod histogram;
mod inventory;
mod meters;
pub mod metrics;
mod observation;
mod operations;
mod progress;
mod receiver;
mod retention;
pub mod safety;
mod scope;
mod server;
mod verification;

pub(crate) use activity::Activity;
pub(crate) use claims::{Claim, Claims};
pub(crate) use disks::DiskNews;
pub use disks::Disks;
pub use histogram::HistogramSnapshot;
pub use inventory::{Inventory, StoreDisk, StoredBackup, StoredWal};
pub use meters::MeterValues;
pub use observation::{InstalledExtension, Observation, SlotState};
pub use operations::{EndedOperations, OperationCounts};
pub(crate) use progress::Progress;
pub use receiver::{Phase, ReceiverState};
pub(crate) use retention::RetentionMemory;
pub(crate) use scope::Scope;
pub(crate) use server::ServerState;
pub use verification::VerificationState;
