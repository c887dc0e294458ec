//! A blocking PostgreSQL client, for PostgreSQL 13 and later: log in, query, replicate, take a base
//! backup.
//!
//! Every wait has a deadline and ends when a stop is requested. The messages and SCRAM come from
//! `postgres-protocol`; the `postgres` crate has no replication protocol and accepts authentication
//! methods that are refused here.
//!
//! Nothing here writes a file.

mod auth;
mod base_backup;
mod base_backup_command;
mod cancel;
mod cluster_size;
mod config_files;
mod connect;
mod connection;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod identity;
mod login;
mod objects;
mod query;
mod quote;
mod replication;
mod server_error;
mod server_info;
mod server_state;
mod slot;
mod synchronous;
mod warning;
mod wire;

#[cfg(test)]
mod tests;

pub use base_backup::BaseBackup;
pub use base_backup_command::BaseBackupOptions;
pub(crate) use base_backup_command::Tablespace;
pub(crate) use cluster_size::cluster_size;
pub(crate) use config_files::ConfigFiles;
pub use connection::Connection;
pub use identity::SystemIdentity;
pub use login::{Login, Mode};
pub use objects::ClusterObjects;
#[cfg(test)]
pub(crate) use objects::NamedTablespace;
pub(crate) use objects::{Database, PG_DEFAULT};
pub(crate) use query::Row;
pub use replication::{Event, Replication};
pub use server_info::ServerInfo;
pub use server_state::ServerState;
pub use slot::Slot;
pub(crate) use warning::Warning;
