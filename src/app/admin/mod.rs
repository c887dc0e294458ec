//! The program `pgmoneta-admin`: creates the master key and the repository, and manages the users
//! of the users and admins files.

mod arguments;
mod document;
mod program;
mod secret;

pub use arguments::command;
pub use program::main;
