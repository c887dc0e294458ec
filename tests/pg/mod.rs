//! The PostgreSQL client against real servers: logins, settings, replication, base backups.

mod base_backup;
pub mod login;
mod replication;
pub mod setup;
mod tls;
