//! What a backup is: complete, restorable by hand with standard tools, and not there at all unless it is.

pub mod by_hand;
mod config;
mod ends;
mod gaps;
mod left_out;
mod not_text;
mod refused;
mod servers;
mod storage;
