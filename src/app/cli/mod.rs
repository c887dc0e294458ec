//! The program `pgmoneta-cli`, the client of the daemon: command line, request and response,
//! output.

mod arguments;
mod client;
mod credentials;
mod endpoint;
mod exit;
mod local;
mod operands;
mod plugin;
mod program;
mod progress;
mod remote;
mod request;
mod setting;
mod text;
mod tls_files;
mod translate;

pub use arguments::command_line;
pub use program::main;
