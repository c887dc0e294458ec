//! The client against scripted servers that misbehave.

mod base_backup;
mod endless;
mod login;
mod query;
mod replication;
mod server;
