//! What is fuzzed: parsers of bytes that others wrote. `fuzz/` runs these targets with random
//! bytes, and the tests here with the files that are kept there.
//!
//! A target takes any bytes and panics if a promise is broken. Its body is in `fuzz` of the module
//! whose formats it reads.

use crate::{codec, config, crypto, daemon, format, pg, protocol, repository, vault};

/// A target: its name, which that of its program in `fuzz/` is too, and its body.
type Target = (&'static str, fn(&[u8]));

/// All targets.
const TARGETS: &[Target] = &[
    ("backend", pg::fuzz::backend),
    ("cluster_files", format::fuzz::cluster_files),
    ("config", config::fuzz::config),
    ("http", daemon::fuzz::http),
    ("login", protocol::login::fuzz::login),
    ("management", protocol::fuzz::management),
    ("repository", repository::fuzz::repository),
    ("scram", crypto::scram::fuzz::scram),
    ("server_manifest", format::fuzz::server_manifest),
    ("stored", codec::fuzz::stored),
    ("tar", format::fuzz::tar),
    ("users", vault::fuzz::users),
    ("wal", format::fuzz::wal),
];

/// Runs the target `name` once.
pub fn run(name: &str, input: &[u8]) {
    let mut all = TARGETS.iter();
    let found = all.find(|target| target.0 == name);
    assert!(found.is_some(), "there is no target {name}");
    if let Some((_, body)) = found {
        body(input);
    }
}

#[cfg(test)]
mod tests;
