//! The configuration of the client, `pgmoneta_cli.conf`.

use std::path::{Path, PathBuf};

use super::build::{compression_word, encryption, log};
use super::document::{self, Dialect, Document};
use super::load::MAIN;
use super::option::Kind::{Integer, Path as ExpandedPath, Pattern, Size, Text, Time, Word};
use super::option::Scope::Main;
use super::option::{Kind, Setting};
use super::problem::{Findings, Problems};
use super::section::{Section, absolute};
use super::words;
use crate::logging::LogSettings;
use crate::unit::{Compression, Encryption};

const fn row(key: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Setting {
    Setting::new(Main, key, kind, default, help)
}

/// Every key of the client's configuration.
#[rustfmt::skip] // A row is a line.
pub const CLIENT_OPTIONS: &[Setting] = &[
    row("host", Text, "", "The host of the daemon, for remote management."),
    row("port", Integer(0, 65535), "0", "The port of remote management; 0 is none."),
    row("unix_socket_dir", ExpandedPath, "", "The directory of the management socket, where host and port are not both set."),
    row("compression", Word(words::WIRE_COMPRESSION), "", "How messages are compressed."),
    row("encryption", Word(words::WIRE_ENCRYPTION), "", "How messages are encrypted, with the master key."),
    row("output", Word(words::OUTPUT), "text", "How answers are shown."),
    row("log_type", Word(words::LOG_TYPE), "console", "Where the log goes."),
    row("log_level", Word(words::LOG_LEVEL), "info", "The least important messages that are logged."),
    row("log_path", ExpandedPath, "pgmoneta-cli.log", "The log file, a strftime pattern."),
    row("log_line_prefix", Pattern, "%Y-%m-%d %H:%M:%S", "The front of each line, a strftime pattern."),
    row("log_mode", Word(words::LOG_MODE), "append", "Whether an existing log file is continued or begun anew."),
    row("log_rotation_age", Time(0), "0", "The age at which the log file is opened anew; 0 is never."),
    row("log_rotation_size", Size, "0", "The size at which the log file is opened anew; 0 is never."),
];

/// How answers are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// JSON with translated values.
    Json,
    /// JSON as it came.
    Raw,
}

/// The configuration of the client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The file.
    pub path: PathBuf,
    /// The host of the daemon.
    pub host: Option<String>,
    /// The port of remote management.
    pub port: Option<u16>,
    /// The directory of the management socket.
    pub unix_socket_dir: Option<PathBuf>,
    /// How messages are compressed, if the file says so.
    pub compression: Option<Compression>,
    /// How messages are encrypted, if the file says so.
    pub encryption: Option<Encryption>,
    /// How answers are shown.
    pub output: OutputFormat,
    /// Where the log goes.
    pub log: LogSettings,
    /// What is odd, but not wrong.
    pub warnings: Vec<String>,
}

impl ClientConfig {
    /// Reads and checks the file of the client. Sections mean nothing, the last value of a key counts. The file of the
    /// daemon, known by a `base_dir` in `[pgmoneta]`, serves as well: it says where the socket is, and nothing else.
    pub fn load(path: &Path) -> Result<ClientConfig, Problems> {
        let mut findings = Findings::new(path);
        let dialect = Dialect {
            loose: true,
            expands: is_path,
        };
        let document = document::read(path, dialect, &mut findings).unwrap_or_default();
        let merged = merge(document);
        let section = Section::read(&merged, CLIENT_OPTIONS, None, &mut findings);
        let log = log(&section, &mut findings);
        if !findings.fine() {
            return Err(findings.into_problems());
        }
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let word = |key: &str| section.own(key).map(|_| section.word(key));
        Ok(ClientConfig {
            path: absolute(path),
            host: some(section.text("host")),
            port: u16::try_from(section.number("port"))
                .ok()
                .filter(|port| *port > 0),
            unix_socket_dir: section.path("unix_socket_dir"),
            compression: word("compression").map(compression_word),
            encryption: word("encryption").map(encryption),
            output: match section.word("output") {
                "json" => OutputFormat::Json,
                "raw" => OutputFormat::Raw,
                _ => OutputFormat::Text,
            },
            log,
            warnings: findings.warnings,
        })
    }
}

/// Whether a key is a path in which environment variables are replaced.
fn is_path(key: &str) -> bool {
    let mut rows = CLIENT_OPTIONS.iter();
    rows.any(|setting| setting.key == key && setting.kind == ExpandedPath)
}

/// All sections as one; of the daemon's file only what concerns a client.
fn merge(document: Document) -> document::Section {
    let daemons = document
        .sections
        .iter()
        .any(|section| section.title == MAIN && section.table.contains_key("base_dir"));
    let mut merged = document::Section::new(MAIN, 1);
    for section in document.sections {
        for (key, value) in section.table {
            if daemons && !(section.title == MAIN && key == "unix_socket_dir") {
                continue;
            }
            let line = section.lines.get(&key).copied().unwrap_or(section.line);
            // The C program looks for the key with a capital letter, its manual has it without.
            let key = if key == "Output" {
                "output".to_owned()
            } else {
                key
            };
            merged.lines.insert(key.clone(), line);
            merged.table.insert(key, value);
        }
    }
    merged
}
