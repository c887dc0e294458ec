//! Configuration files.

#![allow(clippy::unwrap_used)] // as in tests

use std::path::Path;

use super::document::ParseOptions;
use super::load::{fill, merge, parse, set};
use super::problem::Diagnostics;
use super::{CLIENT_OPTIONS, ClientConfig, Config, OPTIONS, Server, Target};

/// The bytes as a file of the daemon and as one of the client; in TOML if they begin with `#toml`.
pub fn config(input: &[u8]) {
    let toml = input.starts_with(b"#toml");
    daemon(input, toml);
    client(input, toml);
}

fn daemon(input: &[u8], toml: bool) {
    let mut diagnostics = Diagnostics::new(Path::new("pgmoneta.conf"));
    let rows = OPTIONS;
    let lenient = false;
    let options = ParseOptions { lenient, rows };
    let mut config = Config::default();
    let Some(sections) = parse(input, toml, options, &mut diagnostics) else {
        assert!(!diagnostics.is_ok(), "there is a reason");
        return;
    };
    fill(&mut config, rows, sections, &mut diagnostics);
    if diagnostics.is_ok() {
        printed_values_are_read(&config);
    }
}

fn client(input: &[u8], toml: bool) {
    let mut diagnostics = Diagnostics::new(Path::new("pgmoneta_cli.conf"));
    let rows = CLIENT_OPTIONS;
    let lenient = true;
    let options = ParseOptions { lenient, rows };
    if let Some(sections) = parse(input, toml, options, &mut diagnostics) {
        let mut config = ClientConfig::default();
        let target = Target::Client(&mut config);
        set(target, rows, &merge(&sections), &mut diagnostics);
    }
}

fn printed_values_are_read(config: &Config) {
    let mut copy = config.clone();
    let servers = std::mem::take(&mut copy.servers);
    same(
        Target::Daemon(&mut copy),
        Target::Daemon(&mut Config::default()),
    );
    for mut server in servers {
        same(
            Target::Server(&mut server),
            Target::Server(&mut Server::default()),
        );
    }
}

/// Sets each value in `to` from its text in `from`.
fn same(mut from: Target<'_>, mut to: Target<'_>) {
    for row in OPTIONS.iter().filter(|row| !row.secret) {
        if !row.belongs_to(&from) {
            continue;
        }
        let text = row.get(&mut from).unwrap();
        if !text.trim().is_empty() {
            let set = row.set(&mut to, &text);
            assert!(set.is_ok(), "{} = {text:?}: {set:?}", row.key);
            assert_eq!(row.get(&mut to).unwrap(), text, "{}", row.key);
        }
    }
}
