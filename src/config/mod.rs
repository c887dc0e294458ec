//! The configuration: `pgmoneta.conf` in INI syntax or `pgmoneta.toml`, parsed and checked at
//! startup.
//!
//! Both syntaxes are parsed into sections of keys and values; one option table has the kind,
//! default and scope of each key. The result is typed: no other module parses a setting. All errors
//! are reported together, with file and line.

mod check;
mod document;
mod expand;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod handle;
mod ini;
mod load;
mod model;
mod problem;
mod reserve;
mod setting;
mod table;
mod toml_file;
mod unused;
mod value;

#[cfg(test)]
mod tests;

pub use files::{DIRECTORY_VARIABLE, FileOptions, Files, locate, locate_main};
pub use handle::ConfigHandle;
pub use load::Loaded;
pub use model::{
    AuthMethods, Checkpoint, ClientConfig, Config, Host, LinkMode, Management, OutputFormat,
    Retention, Server, TlsFiles, TlsMode, UnusedValues,
};
pub use problem::{Problem, Problems};
pub use reserve::Reserve;
pub use setting::{Field, Reload, Scope, Setting, Support, Target};
pub use table::{CLIENT_OPTIONS, OPTIONS};
pub use value::{Limits, Value, ValueKind};
