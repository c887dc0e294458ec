//! Reads and checks the main file.

use std::collections::BTreeMap;

use super::build;
use super::document::{self, Document, ParseOptions};
use super::files::Files;
use super::model::{Config, Server};
use super::option::ValueKind;
use super::problem::{Diagnostics, Problem, Problems, invalid};
use super::section::Section;
use super::server;
use super::table::OPTIONS;
use super::value::Value;

/// The title of the section with global settings.
pub(super) const MAIN: &str = "pgmoneta";

/// A checked configuration, with warnings.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, with all values checked.
    pub config: Config,
    /// Warnings to be logged at startup; those about features that are not implemented are in
    /// [`Config::not_implemented`].
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks the main file. All errors are reported together.
    pub fn load(files: &Files) -> Result<Loaded, Problems> {
        let mut diagnostics = Diagnostics::new(&files.main);
        let options = ParseOptions {
            lenient: false,
            expand_variables: is_path,
        };
        let document = document::read(&files.main, options, &mut diagnostics);
        match document.map(|document| config(files, &document, &mut diagnostics)) {
            Some(mut config) if diagnostics.is_ok() => {
                config.not_implemented = std::mem::take(&mut diagnostics.not_implemented);
                Ok(Loaded {
                    config,
                    warnings: diagnostics.warnings,
                })
            }
            _ => Err(diagnostics.into_problems()),
        }
    }
}

impl Config {
    /// Fails for servers whose role is not in the users file; `known` tells whether a name is.
    pub fn check_users(&self, known: impl Fn(&str) -> bool) -> Result<(), Problems> {
        let users = self.users_path.display();
        let unknown = self.servers.iter().filter(|server| !known(&server.user));
        let problems: Vec<Problem> = unknown
            .map(|server| Problem {
                file: self.path.clone(),
                line: None,
                key: Some(String::from("user")),
                text: format!(
                    "server [{}]: {} is not in {users}",
                    server.name, server.user
                ),
                hint: Some(format!(
                    "pgmoneta-admin -f {users} -U {} user add",
                    server.user
                )),
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Problems(problems))
        }
    }
}

/// Whether a key is a path in which environment variables are expanded, in any section.
fn is_path(key: &str) -> bool {
    let mut rows = OPTIONS.iter();
    rows.any(|setting| setting.key == key && setting.kind == ValueKind::Path)
}

fn config(files: &Files, document: &Document, diagnostics: &mut Diagnostics) -> Config {
    let mut sections = document.sections.iter();
    let main = match sections.find(|section| section.title == MAIN) {
        Some(section) => Section::read(section, OPTIONS, None, diagnostics),
        None => {
            let problem = invalid(format!("there is no section [{MAIN}]"));
            diagnostics.add(None, "", problem);
            Section::missing()
        }
    };
    let sections = document.sections.iter();
    let sections: Vec<Section<'_>> = sections
        .filter(|section| section.title != MAIN)
        .map(|section| Section::read(section, OPTIONS, Some(&main), diagnostics))
        .collect();
    if sections.is_empty() {
        let problem = invalid("there is no section of a server")
            .with_hint("add a line [NAME], followed by host, port, user and wal_slot");
        diagnostics.add(None, "", problem);
    }
    let servers: Vec<Server> = sections
        .iter()
        .filter_map(|section| server::server(section, &main, diagnostics))
        .collect();
    check_follow(&sections, diagnostics);
    check_slots(&sections, &servers, diagnostics);
    build::check_management(&main, diagnostics);
    build::config(files, &main, servers, diagnostics)
}

/// Fails for a server that follows itself or an unknown server.
fn check_follow(sections: &[Section<'_>], diagnostics: &mut Diagnostics) {
    for section in sections {
        let Some(Value::Text(name)) = section.local("follow") else {
            continue;
        };
        let line = section.line_of("follow");
        if *name == section.title {
            diagnostics.add(line, "follow", invalid("a server cannot follow itself"));
        } else if !sections.iter().any(|other| other.title == *name) {
            let problem = invalid(format!("there is no server {name:?}"));
            diagnostics.add(line, "follow", problem);
        }
    }
}

/// Fails for two servers with the same replication slot.
fn check_slots(sections: &[Section<'_>], servers: &[Server], diagnostics: &mut Diagnostics) {
    let mut known = BTreeMap::new();
    for server in servers {
        let slot = (server.host.to_string(), server.port, &server.wal_slot);
        if server.port == 0 || server.wal_slot.is_empty() {
            continue;
        }
        if let Some(other) = known.insert(slot, &server.name) {
            let section = sections
                .iter()
                .find(|section| section.title == server.name.as_str());
            let line = section.and_then(|section| section.line_of("wal_slot"));
            let problem = invalid(format!("server [{other}] has the same host, port and slot"));
            diagnostics.add(line, "wal_slot", problem);
        }
    }
}
