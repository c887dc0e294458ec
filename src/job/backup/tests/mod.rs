//! Backups of generated archives.

mod links;
mod pipeline;
mod scratch;
