//! Builds the typed configuration from the values of `[pgmoneta]`.

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use super::files::Files;
use super::model::{Config, Server};
use super::problem::{Diagnostics, invalid};
use super::section::{Section, absolute};
use super::server;
use super::tls::check_tls_files;
use super::value::Value;
use crate::codec::{Compression, Level};
use crate::error::Error;
use crate::logging::{LogKind, LogLevel, LogMode, LogSettings, check_pattern};
use crate::unit::{ByteSize, Encryption, Span};

/// The maximum length in bytes of the path of a Unix socket on all systems (`sun_path`), without
/// the final zero byte.
pub(super) const MAX_SOCKET_PATH: usize = 106;

/// The file name of the management socket.
const SOCKET_NAME: &str = ".s.pgmoneta";

/// The minimum length of the queue of connections to accept (listen(2)).
const MIN_BACKLOG: u32 = 16;

/// Builds the configuration and checks values that depend on each other.
pub(super) fn config(
    files: &Files,
    main: &Section<'_>,
    servers: Vec<Server>,
    diagnostics: &mut Diagnostics,
) -> Config {
    let unix_socket_dir = socket_directory(main, diagnostics);
    let host = main.text("host");
    Config {
        path: absolute(&files.main),
        users_path: absolute(&files.users),
        admins_path: files.admins.as_deref().map(absolute),
        pidfile: main.path("pidfile").unwrap_or_else(|| {
            let host = if host == "*" { "all" } else { &host };
            unix_socket_dir.join(format!("pgmoneta.{host}.pid"))
        }),
        host,
        unix_socket_dir,
        base_dir: base_directory(main, diagnostics),
        compression: compression(main, diagnostics),
        compression_level: level(main, diagnostics),
        encryption: parse_encryption(main.enum_value("encryption")),
        workers: threads(main.number("workers")),
        configured_workers: main.number("workers"),
        retention: server::retention(main, None, diagnostics),
        blocking_timeout: main.time("blocking_timeout"),
        authentication_timeout: main.time("authentication_timeout"),
        keep_alive: main.boolean("keep_alive"),
        nodelay: main.boolean("nodelay"),
        backlog: main.number("backlog").max(MIN_BACKLOG),
        log: log(main, diagnostics),
        servers,
        not_implemented: Vec::new(),
    }
}

/// The number of threads for a configured number: 0 is one for each CPU.
pub(super) fn threads(number: u32) -> usize {
    match usize::try_from(number) {
        Ok(0) | Err(_) => available_parallelism().map_or(1, usize::from),
        Ok(number) => number,
    }
}

fn socket_directory(main: &Section<'_>, diagnostics: &mut Diagnostics) -> PathBuf {
    const KEY: &str = "unix_socket_dir";
    let Some(directory) = main.path(KEY) else {
        return PathBuf::new();
    };
    let line = main.line_of(KEY);
    if let Err(problem) = check_directory(&directory) {
        diagnostics.add(line, KEY, problem);
    }
    if let Err(problem) = check_socket(&directory.join(SOCKET_NAME)) {
        diagnostics.add(line, KEY, problem);
    }
    directory
}

fn base_directory(main: &Section<'_>, diagnostics: &mut Diagnostics) -> PathBuf {
    const KEY: &str = "base_dir";
    let directory = main.path(KEY).unwrap_or_default();
    if directory.exists() && !directory.is_dir() {
        let problem = invalid(format!("{} is not a directory", directory.display()));
        diagnostics.add(main.line_of(KEY), KEY, problem);
    }
    directory
}

/// Fails if the path is not a directory.
fn check_directory(path: &Path) -> Result<(), Error> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(invalid(format!("{} is not a directory", path.display()))),
        Err(error) => Err(invalid(format!("{}: {error}", path.display()))
            .with_hint(format!("mkdir -m 0700 {}", path.display()))),
    }
}

/// Fails if the path is too long for a Unix socket.
pub(super) fn check_socket(path: &Path) -> Result<(), Error> {
    let length = path.as_os_str().len();
    if length <= MAX_SOCKET_PATH {
        return Ok(());
    }
    Err(invalid(format!(
        "the path of the socket, {}, has {length} bytes; the maximum is {MAX_SOCKET_PATH}",
        path.display()
    )))
}

fn compression(main: &Section<'_>, diagnostics: &mut Diagnostics) -> Compression {
    const KEY: &str = "compression";
    let name = main.enum_value(KEY);
    let method = name.strip_prefix("server-").unwrap_or(name);
    if method != name {
        let text = format!("{KEY}: {name} is done by pgmoneta, as {method}, not by the server");
        diagnostics.warning(main.line_of(KEY), text);
    }
    parse_compression(method)
}

pub(super) fn parse_compression(name: &str) -> Compression {
    Compression::from_name(name).unwrap_or_default()
}

pub(super) fn parse_encryption(name: &str) -> Encryption {
    Encryption::from_name(name).unwrap_or_default()
}

fn level(main: &Section<'_>, diagnostics: &mut Diagnostics) -> Level {
    const KEY: &str = "compression_level";
    let Some(Value::Level(level)) = main.any(KEY) else {
        return Level::Auto;
    };
    let method = main.enum_value("compression");
    let compression = parse_compression(method.strip_prefix("server-").unwrap_or(method));
    let range = compression.levels();
    if compression != Compression::None
        && let Level::Fixed(number) = level
        && !range.contains(&number)
    {
        let (min, max) = range.into_inner();
        let text = format!("{number} is not a level of {method}: auto, or {min} to {max}");
        diagnostics.add(main.line_of(KEY), KEY, invalid(text));
    }
    level
}

/// The settings of the log in `[pgmoneta]`.
pub(super) fn log(main: &Section<'_>, diagnostics: &mut Diagnostics) -> LogSettings {
    let age = main.time("log_rotation_age");
    let size = match main.any("log_rotation_size") {
        Some(Value::Size(size)) => size,
        _ => ByteSize::default(),
    };
    let path = main.path("log_path").unwrap_or_default();
    if let Err(problem) = check_pattern(&path.to_string_lossy()) {
        diagnostics.add(main.line_of("log_path"), "log_path", problem);
    }
    if main.enum_value("log_mode") == "append" && !path.to_string_lossy().contains('%') {
        let rows = [
            ("log_rotation_age", age > Span(0)),
            ("log_rotation_size", size > ByteSize(0)),
        ];
        for (key, _) in rows.into_iter().filter(|(_, set)| *set) {
            let text = format!("{key} has no effect: there is no % in log_path");
            diagnostics.warning(main.line_of(key), text);
        }
    }
    LogSettings {
        kind: match main.enum_value("log_type") {
            "file" => LogKind::File,
            "syslog" => LogKind::Syslog,
            _ => LogKind::Console,
        },
        level: match main.enum_value("log_level") {
            "fatal" => LogLevel::Fatal,
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "debug" => LogLevel::Debug,
            "debug2" => LogLevel::Trace,
            _ => LogLevel::Info,
        },
        path,
        rotation_age: Some(age).filter(|age| *age > Span(0)),
        rotation_size: Some(size).filter(|size| *size > ByteSize(0)),
        line_prefix: main.text("log_line_prefix"),
        mode: match main.enum_value("log_mode") {
            "create" => LogMode::Create,
            _ => LogMode::Append,
        },
    }
}

/// Checks the files of remote management, which the C program checks at startup.
pub(super) fn check_management(main: &Section<'_>, diagnostics: &mut Diagnostics) {
    if main.boolean("tls") {
        for key in ["tls_cert_file", "tls_key_file"] {
            if main.local(key).is_none() {
                diagnostics.add(
                    main.line_of("tls"),
                    key,
                    invalid("it is missing, and tls is on"),
                );
            }
        }
        check_tls_files(main, diagnostics);
    }
}
