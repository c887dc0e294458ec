//! The program `pgmoneta`, the daemon: its command line.

mod arguments;
mod program;

pub use arguments::command;
pub use program::main;
