//! The table of metrics: rows by topic, a copy of the state that they read, their text in the
//! Prometheus exposition format, and a page for people.
//!
//! A scrape reads memory only: what is on the disk and what a server says about itself is collected
//! in the background.

mod backup;
mod backups;
mod exposition;
mod general;
mod label;
mod page;
mod progress;
mod protection;
mod row;
mod server;
mod snapshot;
mod storage;
mod table;
mod value;
mod wal;

pub use exposition::exposition;
pub use page::page;
pub use row::{Kind, Metric};
pub use snapshot::Snapshot;
pub use table::metrics;

#[cfg(test)]
mod tests;
