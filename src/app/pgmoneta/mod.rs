//! The program `pgmoneta`, the daemon: command line and exit status.

mod arguments;
mod program;

pub use arguments::command;
pub use program::main;
