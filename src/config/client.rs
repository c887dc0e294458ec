//! The configuration of the client: `pgmoneta_cli.conf`.

use std::path::{Path, PathBuf};

use super::build::{log, parse_compression, parse_encryption};
use super::document::{self, Document, ParseOptions};
use super::enums;
use super::load::MAIN;
use super::option::Scope::Main;
use super::option::ValueKind::{Enum, Integer, Path as ExpandedPath, Pattern, Size, Text, Time};
use super::option::{Setting, ValueKind};
use super::problem::{Diagnostics, Problems};
use super::section::{Section, absolute};
use crate::codec::Compression;
use crate::logging::LogSettings;
use crate::unit::Encryption;

const fn row(
    key: &'static str,
    kind: ValueKind,
    default: &'static str,
    help: &'static str,
) -> Setting {
    Setting::new(Main, key, kind, default, help)
}

/// The keys of the client's configuration, with kind, default and help.
#[rustfmt::skip] // One row per line.
pub const CLIENT_OPTIONS: &[Setting] = &[
    row("host", Text, "", "The host of the daemon, for remote management."),
    row("port", Integer(0, 65535), "0", "The port of remote management; 0 is none."),
    row("unix_socket_dir", ExpandedPath, "", "The directory of the management socket, where host and port are not both set."),
    row("compression", Enum(enums::WIRE_COMPRESSION), "", "How messages are compressed."),
    row("encryption", Enum(enums::ENCRYPTION), "", "How messages are encrypted, with the master key."),
    row("output", Enum(enums::OUTPUT), "text", "The output format."),
    row("log_type", Enum(enums::LOG_TYPE), "console", "Where the log goes."),
    row("log_level", Enum(enums::LOG_LEVEL), "info", "The lowest level of messages that is logged."),
    row("log_path", ExpandedPath, "pgmoneta-cli.log", "The log file, a strftime pattern."),
    row("log_line_prefix", Pattern, "%Y-%m-%d %H:%M:%S", "The prefix of each line, a strftime pattern."),
    row("log_mode", Enum(enums::LOG_MODE), "append", "Whether an existing log file is appended to or truncated."),
    row("log_rotation_age", Time(0), "0", "The age at which the log file is rotated; 0 is never."),
    row("log_rotation_size", Size, "0", "The size at which the log file is rotated; 0 is never."),
];

/// The output format of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// Tables for people.
    #[default]
    Text,
    /// JSON in which sizes, times and codes are translated to text.
    Json,
    /// JSON as the daemon sent it.
    Raw,
}

/// The configuration of the client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The absolute path of the file.
    pub path: PathBuf,
    /// The host of the daemon, for remote management.
    pub host: Option<String>,
    /// The port of remote management.
    pub port: Option<u16>,
    /// The directory of the management socket.
    pub unix_socket_dir: Option<PathBuf>,
    /// How messages are compressed, if it is set.
    pub compression: Option<Compression>,
    /// How messages are encrypted, if it is set.
    pub encryption: Option<Encryption>,
    /// The output format where no option of the command line names one.
    pub output: OutputFormat,
    /// The settings of the log.
    pub log: LogSettings,
    /// Warnings about the file, to be logged.
    pub warnings: Vec<String>,
}

impl ClientConfig {
    /// Reads and checks the file of the client. Sections are ignored, the last value of a key is
    /// used. The file of the daemon, recognized by a `base_dir` in `[pgmoneta]`, is accepted as
    /// well: only `unix_socket_dir` is taken from it.
    pub fn load(path: &Path) -> Result<ClientConfig, Problems> {
        let mut diagnostics = Diagnostics::new(path);
        let options = ParseOptions {
            lenient: true,
            expand_variables: is_path,
        };
        let document = document::read(path, options, &mut diagnostics).unwrap_or_default();
        let merged = merge(document);
        let section = Section::read(&merged, CLIENT_OPTIONS, None, &mut diagnostics);
        let log = log(&section, &mut diagnostics);
        if !diagnostics.is_ok() {
            return Err(diagnostics.into_problems());
        }
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let value = |key: &str| section.local(key).map(|_| section.enum_value(key));
        Ok(ClientConfig {
            path: absolute(path),
            host: some(section.text("host")),
            port: u16::try_from(section.number("port"))
                .ok()
                .filter(|port| *port > 0),
            unix_socket_dir: section.path("unix_socket_dir"),
            compression: value("compression").map(parse_compression),
            encryption: value("encryption").map(parse_encryption),
            output: match section.enum_value("output") {
                "json" => OutputFormat::Json,
                "raw" => OutputFormat::Raw,
                _ => OutputFormat::Text,
            },
            log,
            warnings: diagnostics.warnings,
        })
    }
}

/// Whether a key is a path in which environment variables are expanded.
fn is_path(key: &str) -> bool {
    let mut rows = CLIENT_OPTIONS.iter();
    rows.any(|setting| setting.key == key && setting.kind == ExpandedPath)
}

/// Merges all sections into one; of the daemon's file only `unix_socket_dir`.
fn merge(document: Document) -> document::RawSection {
    let is_daemon_file = document
        .sections
        .iter()
        .any(|section| section.title == MAIN && section.table.contains_key("base_dir"));
    let mut merged = document::RawSection::new(MAIN, 1);
    for section in document.sections {
        for (key, value) in section.table {
            if is_daemon_file && !(section.title == MAIN && key == "unix_socket_dir") {
                continue;
            }
            let line = section.lines.get(&key).copied().unwrap_or(section.line);
            // The C program reads the key as `Output`, its manual has `output`.
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
