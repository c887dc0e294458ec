//! The three programs: `pgmoneta`, `pgmoneta-cli` and `pgmoneta-admin`.
//!
//! They parse arguments, call the daemon or the layers below, and print the result. Everything else
//! is in the layers below, where it is tested.

pub mod admin;
pub mod cli;
pub mod pgmoneta;
mod prompt;
pub mod report;
