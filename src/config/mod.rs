//! The configuration: `pgmoneta.conf` in INI syntax or `pgmoneta.toml`, parsed and checked at
//! startup.
//!
//! Both syntaxes are parsed into sections of keys and values; one option table has the kind,
//! default and scope of each key. The result is typed: no other module parses a setting. All errors
//! are reported together, with file and line.

mod build;
mod client;
mod document;
mod enums;
mod expand;
mod files;
mod ini;
mod load;
mod model;
mod option;
mod problem;
mod section;
mod server;
mod suggest;
mod table;
mod tls;
mod toml_file;
mod value;

#[cfg(test)]
mod tests;

pub use client::{CLIENT_OPTIONS, ClientConfig, OutputFormat};
pub use files::{DIRECTORY_VARIABLE, FileOptions, Files, locate, locate_main};
pub use load::Loaded;
pub use model::{AuthMethods, Checkpoint, Config, Host, Retention, Server, TlsFiles, TlsMode};
pub use option::{EnumValues, Reload, Scope, Setting, Support, ValueKind};
pub use problem::{Problem, Problems};
pub use table::OPTIONS;
