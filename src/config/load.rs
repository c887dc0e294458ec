//! Reading and checking the main file as a whole.

use std::collections::BTreeMap;

use super::build;
use super::document::{self, Dialect, Document};
use super::files::Files;
use super::model::{Config, Server};
use super::option::Kind;
use super::problem::{Findings, Problem, Problems, wrong};
use super::section::Section;
use super::server;
use super::table::OPTIONS;
use super::value::Value;

/// The title of the daemon's own section.
pub(super) const MAIN: &str = "pgmoneta";

/// A configuration that was read and checked.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is odd, but not wrong; to be logged at the start. What is not there yet is in [`Config::not_yet`].
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads and checks the main file. All that is wrong is reported together.
    pub fn load(files: &Files) -> Result<Loaded, Problems> {
        let mut findings = Findings::new(&files.main);
        let dialect = Dialect {
            loose: false,
            expands: is_path,
        };
        let document = document::read(&files.main, dialect, &mut findings);
        match document.map(|document| config(files, &document, &mut findings)) {
            Some(mut config) if findings.fine() => {
                config.not_yet = std::mem::take(&mut findings.not_yet);
                Ok(Loaded {
                    config,
                    warnings: findings.warnings,
                })
            }
            _ => Err(findings.into_problems()),
        }
    }
}

impl Config {
    /// Refuses servers whose role is not in the users file; `known` says which names are.
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

/// Whether a key is a path in which environment variables are replaced, in whichever section.
fn is_path(key: &str) -> bool {
    let mut rows = OPTIONS.iter();
    rows.any(|setting| setting.key == key && setting.kind == Kind::Path)
}

fn config(files: &Files, document: &Document, findings: &mut Findings) -> Config {
    let mut sections = document.sections.iter();
    let main = match sections.find(|section| section.title == MAIN) {
        Some(section) => Section::read(section, OPTIONS, None, findings),
        None => {
            let problem = wrong(format!("there is no section [{MAIN}]"));
            findings.add(None, "", problem);
            Section::missing()
        }
    };
    let sections = document.sections.iter();
    let sections: Vec<Section<'_>> = sections
        .filter(|section| section.title != MAIN)
        .map(|section| Section::read(section, OPTIONS, Some(&main), findings))
        .collect();
    if sections.is_empty() {
        let problem = wrong("there is no section of a server")
            .hint("a line [NAME], followed by host, port, user and wal_slot");
        findings.add(None, "", problem);
    }
    let servers: Vec<Server> = sections
        .iter()
        .filter_map(|section| server::server(section, &main, findings))
        .collect();
    check_follow(&sections, findings);
    check_slots(&sections, &servers, findings);
    build::check_management(&main, findings);
    build::config(files, &main, servers, findings)
}

/// Refuses a server that follows none of the others.
fn check_follow(sections: &[Section<'_>], findings: &mut Findings) {
    for section in sections {
        let Some(Value::Text(name)) = section.own("follow") else {
            continue;
        };
        let line = section.line_of("follow");
        if *name == section.title {
            findings.add(line, "follow", wrong("a server cannot follow itself"));
        } else if !sections.iter().any(|other| other.title == *name) {
            let problem = wrong(format!("there is no server {name:?}"));
            findings.add(line, "follow", problem);
        }
    }
}

/// Refuses two servers that would take the same WAL from each other.
fn check_slots(sections: &[Section<'_>], servers: &[Server], findings: &mut Findings) {
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
            let problem = wrong(format!("server [{other}] has the same host, port and slot"));
            findings.add(line, "wal_slot", problem);
        }
    }
}
