//! The PostgreSQL client, against real servers: who is let in and who is not, what servers tell, WAL as it is
//! written, base backups.

mod base_backup;
pub mod certificates;
mod login;
mod replication;
pub mod setup;
mod tls;
