//! Backups are complete and restorable with standard tools; an incomplete one is never listed.

pub mod by_hand;
mod config;
mod encodings;
mod interrupted;
mod left_out;
mod links;
mod lost_wal;
mod refused;
mod servers;
mod storage;
