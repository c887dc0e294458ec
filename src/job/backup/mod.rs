//! Takes a full backup.
//!
//! In one pass the archives of a base backup are read, digested, split into chunks, compressed by
//! the pool, encrypted and written in order. The backup is written to a directory `.new-<label>`,
//! checked against the server's manifest, synced, and renamed as the last step: it is not listed
//! before, and complete after.

mod complete;
mod config;
mod left_out;
mod links;
mod pipeline;
mod receive;
mod run;
mod staging;
mod tablespaces;
mod wal;

#[cfg(test)]
mod tests;

pub(crate) use run::run;
