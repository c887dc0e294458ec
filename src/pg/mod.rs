//! A blocking PostgreSQL client, for PostgreSQL 13 and later: log in, query, replicate, take a base backup.
//!
//! Every wait has a deadline and ends when a stop is requested. The messages and SCRAM come from `postgres-protocol`;
//! the `postgres` crate is not used, for it speaks no replication and would log in where we refuse to: there is one
//! way to log in, and it is here.
//!
//! What is received is for others to keep: nothing here writes a file.

mod archive;
mod auth;
mod base_backup;
mod base_backup_command;
mod cancel;
mod config_files;
mod connection;
mod facts;
mod identity;
mod login;
mod objects;
mod query;
mod quote;
mod refusal;
mod replication;
mod slot;
mod warning;
mod wire;

#[cfg(test)]
mod tests;

pub use archive::Archive;
pub use base_backup::BaseBackup;
pub use base_backup_command::{BaseBackupOptions, Tablespace};
pub use config_files::ConfigFiles;
pub use connection::Connection;
pub use facts::Facts;
pub use identity::SystemIdentity;
pub use login::{Login, Mode};
pub use objects::{ClusterObjects, Database, NamedTablespace, PG_DEFAULT};
pub use query::Row;
pub use replication::{Event, Replication};
pub use slot::Slot;
pub use warning::Warning;
