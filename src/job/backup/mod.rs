//! Takes a full backup.
//!
//! One pass: the archives of a base backup are read, digested, cut into chunks, compressed by the pool, encrypted and
//! written in order. The backup is built in a directory `.new-<label>`, checked against the server's own manifest,
//! made durable, and gets its name as the last step: before that nothing lists it, after that all of it is there.

mod archive;
mod complete;
mod config;
mod left_out;
mod options;
mod pipeline;
mod receive;
mod run;
mod staging;
mod tablespaces;
mod wal;

#[cfg(test)]
mod tests;

pub use options::{Options, Outcome};
pub use run::run;
