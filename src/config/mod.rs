//! The configuration: `pgmoneta.conf` in the classic syntax or `pgmoneta.toml`, read and checked once, at the edge.
//!
//! Both syntaxes become one table of sections, and one option table says what each key means. What comes out is
//! typed: nothing behind this module parses a setting. What is wrong is reported together, with file and line.

mod build;
mod classic;
mod client;
mod document;
mod expand;
mod files;
mod load;
mod model;
mod option;
mod problem;
mod section;
mod server;
mod suggest;
mod table;
mod tables;
mod tls;
mod value;
mod words;

#[cfg(test)]
mod tests;

pub use client::{CLIENT_OPTIONS, ClientConfig, OutputFormat};
pub use files::{Asked, DIRECTORY_VARIABLE, Files, locate, locate_main};
pub use load::Loaded;
pub use model::{AuthMethods, Checkpoint, Config, Host, Retention, Server, TlsFiles, TlsMode};
pub use option::{Kind, Presence, Reload, Scope, Setting, Words};
pub use problem::{Problem, Problems};
pub use table::OPTIONS;
