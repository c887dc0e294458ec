//! Reads a file by the rows of the option table, and checks it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::document::{ParseOptions, Section, line_number};
use super::files::Files;
use super::model::{ClientConfig, Config, Server};
use super::problem::{Diagnostics, Problem, Problems, closest, invalid};
use super::setting::{Scope, Setting, Support, Target};
use super::table::{CLIENT_OPTIONS, OPTIONS};
use super::value::absolute;
use super::{check, ini, toml_file};
use crate::error::{Context, Result};
use crate::unit::{ServerName, without_bom};

/// The title of the section with global settings.
const MAIN: &str = "pgmoneta";

/// The maximum size of a configuration file, in bytes.
const MAX_FILE_SIZE: u64 = 4 << 20;

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
    pub fn load(files: &Files) -> std::result::Result<Loaded, Problems> {
        Config::load_by(OPTIONS, files)
    }

    /// As [`Config::load`], for a file with the keys of `rows`.
    pub fn load_by(rows: &[Setting], files: &Files) -> std::result::Result<Loaded, Problems> {
        let mut diagnostics = Diagnostics::new(&files.main);
        let options = ParseOptions {
            lenient: false,
            rows,
        };
        let mut config = Config {
            path: absolute(&files.main),
            users_path: absolute(&files.users),
            admins_path: files.admins.as_deref().map(absolute),
            ..Config::default()
        };
        if let Some(sections) = read(&files.main, options, &mut diagnostics) {
            fill(&mut config, rows, sections, &mut diagnostics);
        }
        if !diagnostics.is_ok() {
            return Err(diagnostics.into_problems());
        }
        config.not_implemented = diagnostics.not_implemented;
        Ok(Loaded {
            config,
            warnings: diagnostics.warnings,
        })
    }

    /// Fails for servers whose role is not in the users file; `known` tells whether a name is.
    pub fn check_users(&self, known: impl Fn(&str) -> bool) -> std::result::Result<(), Problems> {
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

    /// The section, the key and the text of each value, by `rows`.
    pub fn values(&self, rows: &[Setting]) -> Result<Vec<(String, &'static str, String)>> {
        let mut copy = self.clone();
        let mut values = Vec::new();
        let mut add = |title: &str, mut target: Target<'_>| -> Result<()> {
            for row in rows {
                if row.belongs_to(&target) {
                    values.push((title.to_owned(), row.key, row.get(&mut target)?));
                }
            }
            Ok(())
        };
        let servers = std::mem::take(&mut copy.servers);
        add(MAIN, Target::Daemon(&mut copy))?;
        for mut server in servers {
            let title = server.name.to_string();
            add(&title, Target::Server(&mut server))?;
        }
        Ok(values)
    }
}

impl ClientConfig {
    /// Reads and checks the file of the client. Sections are ignored, the last value of a key is
    /// used. The file of the daemon, recognized by a `base_dir` in `[pgmoneta]`, is accepted as
    /// well: only `unix_socket_dir` is taken from it.
    pub fn load(path: &Path) -> std::result::Result<ClientConfig, Problems> {
        let mut diagnostics = Diagnostics::new(path);
        let options = ParseOptions {
            lenient: true,
            rows: CLIENT_OPTIONS,
        };
        let sections = read(path, options, &mut diagnostics).unwrap_or_default();
        let section = merge(&sections);
        let mut config = ClientConfig {
            path: absolute(path),
            ..ClientConfig::default()
        };
        let target = Target::Client(&mut config);
        set(target, CLIENT_OPTIONS, &section, &mut diagnostics);
        check::log(&section, &config.log, &mut diagnostics);
        if !diagnostics.is_ok() {
            return Err(diagnostics.into_problems());
        }
        config.warnings = diagnostics.warnings;
        Ok(config)
    }
}

/// Merges all sections into one; of the daemon's file only `unix_socket_dir`.
pub(super) fn merge(sections: &[Section]) -> Section {
    let is_daemon_file = sections
        .iter()
        .any(|section| section.title == MAIN && section.contains("base_dir"));
    let mut merged = Section::new(MAIN, 1);
    for section in sections {
        for (key, text, line) in section.entries() {
            if is_daemon_file && !(section.title == MAIN && key == "unix_socket_dir") {
                continue;
            }
            // The C program reads the key as `Output`, its manual has `output`.
            let key = if key == "Output" { "output" } else { key };
            merged.insert(key, text.to_owned(), line);
        }
    }
    merged
}

/// Parses `file`: TOML if its name ends in `.toml`, else INI. `None` if it cannot be read at all.
pub(super) fn read(
    file: &Path,
    options: ParseOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Section>> {
    let text = match bytes(file) {
        Ok(text) => text,
        Err(failure) => {
            diagnostics.add(None, "", failure);
            return None;
        }
    };
    let toml = file
        .extension()
        .is_some_and(|extension| extension == "toml");
    parse(&text, toml, options, diagnostics)
}

/// Parses the text of a file in either syntax; `None` if it cannot be read at all.
pub(super) fn parse(
    text: &[u8],
    toml: bool,
    options: ParseOptions<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<Section>> {
    let text = without_bom(text);
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let before = text.get(..error.valid_up_to()).unwrap_or_default();
            let problem = invalid("the text is not UTF-8");
            diagnostics.add(Some(line_number(before)), "", problem);
            return None;
        }
    };
    if toml {
        toml_file::read(text, options, diagnostics)
    } else {
        Some(ini::read(text, options, diagnostics))
    }
}

fn bytes(file: &Path) -> Result<Vec<u8>> {
    let metadata = file.metadata().context("read")?;
    if !metadata.is_file() {
        return Err(invalid("it is not a file"));
    }
    if metadata.len() > MAX_FILE_SIZE {
        return Err(invalid(format!(
            "it has {} bytes; the maximum is {MAX_FILE_SIZE}",
            metadata.len()
        )));
    }
    fs::read(file).context("read")
}

/// Sets all values of the daemon and of its servers.
pub(super) fn fill(
    config: &mut Config,
    rows: &[Setting],
    mut sections: Vec<Section>,
    diagnostics: &mut Diagnostics,
) {
    match sections.iter().position(|section| section.title == MAIN) {
        Some(index) => {
            let main = sections.remove(index);
            set(Target::Daemon(config), rows, &main, diagnostics);
            check::daemon(&main, config, diagnostics);
        }
        None => {
            let problem = invalid(format!("there is no section [{MAIN}]"));
            diagnostics.add(None, "", problem);
        }
    }
    // A second [pgmoneta] is an error already.
    sections.retain(|section| section.title != MAIN);
    if sections.is_empty() {
        let problem = invalid("there is no section of a server")
            .with_hint("add a line [NAME], followed by host, port, user and wal_slot");
        diagnostics.add(None, "", problem);
    }
    for section in &sections {
        let mut server = config.server_defaults.clone();
        set(Target::Server(&mut server), rows, section, diagnostics);
        check::server(section, &mut server, diagnostics);
        match section.title.parse::<ServerName>() {
            Ok(name) => config.servers.push(Server { name, ..server }),
            Err(problem) => {
                diagnostics.add(Some(section.line), "", invalid(problem.message()));
            }
        }
    }
    check::servers(&sections, &config.servers, diagnostics);
}

/// Sets the fields of `target` from the values of a section, and those without a valid value to
/// their defaults; a server has those of `[pgmoneta]` already.
pub(super) fn set(
    mut target: Target<'_>,
    rows: &[Setting],
    section: &Section,
    diagnostics: &mut Diagnostics,
) {
    let mut valid = BTreeSet::new();
    for (key, text, line) in section.entries() {
        let mut keys = rows.iter().filter(|row| row.key == key);
        let Some(row) = keys.find(|row| row.belongs_to(&target)) else {
            unknown(rows, key, line, &target, diagnostics);
            continue;
        };
        if text.trim().is_empty() {
            continue;
        }
        match row.set(&mut target, text) {
            Ok(()) => {
                valid.insert(key);
                warn_inactive(row, text, line, diagnostics);
            }
            Err(problem) => diagnostics.add(Some(line), key, problem),
        }
    }
    let is_server = matches!(target, Target::Server(_));
    for row in rows {
        if valid.contains(row.key) || !row.belongs_to(&target) {
            continue;
        }
        if row.required && section.text(row.key).is_none() {
            let text = format!("it is missing in section [{}]", section.title);
            diagnostics.add(Some(section.line), row.key, invalid(text));
        }
        let inherited = is_server && row.scope() == Scope::Both;
        if !row.default.is_empty()
            && !inherited
            && let Err(problem) = row.set(&mut target, row.default)
        {
            diagnostics.add(Some(section.line), row.key, problem);
        }
    }
}

/// Reports a key that is not one of the section.
fn unknown(
    rows: &[Setting],
    key: &str,
    line: usize,
    target: &Target<'_>,
    diagnostics: &mut Diagnostics,
) {
    let problem = if rows.iter().any(|row| row.key == key) {
        invalid(match target {
            Target::Server(_) => "it belongs in section [pgmoneta]",
            _ => "it belongs in the section of a server",
        })
    } else {
        let keys = rows.iter().filter(|row| row.belongs_to(target));
        let problem = invalid("there is no such option");
        match closest(&key.to_ascii_lowercase(), keys.map(|row| row.key)) {
            Some(close) => problem.with_hint(format!("did you mean {close}?")),
            None => problem,
        }
    };
    diagnostics.add(Some(line), key, problem);
}

/// Adds a warning if a value other than the default has no effect.
fn warn_inactive(row: &Setting, text: &str, line: usize, diagnostics: &mut Diagnostics) {
    let (key, same) = (row.key, row.is_unused_default(text));
    match row.support {
        Support::Planned(feature) if !same => {
            let text = format!("{key}: {feature} is not implemented yet");
            diagnostics.not_implemented(Some(line), text);
        }
        Support::Ignored(why) if !same => {
            diagnostics.warning(Some(line), format!("{key} has no effect: {why}"));
        }
        _ => {}
    }
}
