//! The program `pgmoneta-cli`, the client of the daemon: its command line, its conversation, its output.

mod arguments;
mod client;
mod commands;
mod exchange;
mod progress;
mod refused;
mod request;
mod setting;
mod target;
mod text;
mod translate;

pub use arguments::command;
pub use client::main;
