//! Collects, in the background, what the metrics show: what is on the disk of a server, and what
//! the server says about itself. A scrape then reads memory only.
//!
//! `run` decides what is due; `disk` looks at the backups and the room, `archive` at the WAL, and
//! `server` asks the server.

mod archive;
mod disk;
mod run;
mod server;

pub(crate) use run::{interval, scheduled};
