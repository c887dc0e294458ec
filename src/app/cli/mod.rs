//! The program `pgmoneta-cli`, the client of the daemon: command line, request and response,
//! output.

mod arguments;
mod client;
mod endpoint;
mod exit;
mod local;
mod operands;
mod program;
mod progress;
mod request;
mod setting;
mod text;
mod translate;

pub use arguments::command_line;
pub use program::main;
