//! From the values of `[pgmoneta]` to the typed configuration.

use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use super::files::Files;
use super::model::{Config, Server};
use super::problem::{Findings, wrong};
use super::section::{Section, absolute};
use super::server;
use super::tls::check_tls_files;
use super::value::Value;
use crate::error::Failure;
use crate::logging::{LogKind, LogLevel, LogMode, LogSettings, check_pattern};
use crate::unit::{ByteSize, Compression, Encryption, Level, Span};

/// The longest path of a Unix socket in bytes that every system takes, without the byte 0 at its end.
pub(super) const LONGEST_SOCKET: usize = 106;

/// The name of the management socket in its directory.
const SOCKET: &str = ".s.pgmoneta";

/// The fewest connections that may wait.
const LEAST_BACKLOG: u32 = 16;

/// Builds the configuration and checks what concerns more than one value.
pub(super) fn config(
    files: &Files,
    main: &Section<'_>,
    servers: Vec<Server>,
    findings: &mut Findings,
) -> Config {
    let unix_socket_dir = socket_directory(main, findings);
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
        base_dir: base_directory(main, findings),
        compression: compression(main, findings),
        compression_level: level(main, findings),
        encryption: encryption(main.word("encryption")),
        workers: threads(main.number("workers")),
        configured_workers: main.number("workers"),
        retention: server::retention(main, None, findings),
        blocking_timeout: main.time("blocking_timeout"),
        authentication_timeout: main.time("authentication_timeout"),
        keep_alive: main.boolean("keep_alive"),
        nodelay: main.boolean("nodelay"),
        backlog: main.number("backlog").max(LEAST_BACKLOG),
        log: log(main, findings),
        servers,
        not_yet: Vec::new(),
    }
}

/// Threads: as many as the file says, where 0 is one for each CPU.
pub(super) fn threads(number: u32) -> usize {
    match usize::try_from(number) {
        Ok(0) | Err(_) => available_parallelism().map_or(1, usize::from),
        Ok(number) => number,
    }
}

fn socket_directory(main: &Section<'_>, findings: &mut Findings) -> PathBuf {
    const KEY: &str = "unix_socket_dir";
    let Some(directory) = main.path(KEY) else {
        return PathBuf::new();
    };
    let line = main.line_of(KEY);
    if let Err(problem) = check_directory(&directory) {
        findings.add(line, KEY, problem);
    }
    if let Err(problem) = check_socket(&directory.join(SOCKET)) {
        findings.add(line, KEY, problem);
    }
    directory
}

fn base_directory(main: &Section<'_>, findings: &mut Findings) -> PathBuf {
    const KEY: &str = "base_dir";
    let directory = main.path(KEY).unwrap_or_default();
    if directory.exists() && !directory.is_dir() {
        let problem = wrong(format!("{} is not a directory", directory.display()));
        findings.add(main.line_of(KEY), KEY, problem);
    }
    directory
}

/// Refuses what is not a directory.
fn check_directory(path: &Path) -> Result<(), Failure> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(wrong(format!("{} is not a directory", path.display()))),
        Err(error) => Err(wrong(format!("{}: {error}", path.display()))
            .hint(format!("mkdir -m 0700 {}", path.display()))),
    }
}

/// Refuses a path that is too long for a socket.
pub(super) fn check_socket(path: &Path) -> Result<(), Failure> {
    let length = path.as_os_str().len();
    if length <= LONGEST_SOCKET {
        return Ok(());
    }
    Err(wrong(format!(
        "the path of the socket, {}, has {length} bytes; {LONGEST_SOCKET} are possible",
        path.display()
    )))
}

fn compression(main: &Section<'_>, findings: &mut Findings) -> Compression {
    const KEY: &str = "compression";
    let word = main.word(KEY);
    let method = word.strip_prefix("server-").unwrap_or(word);
    if method != word {
        let text = format!("{KEY}: {word} is done here, as {method}, not by the server");
        findings.warning(main.line_of(KEY), text);
    }
    compression_word(method)
}

pub(super) fn compression_word(word: &str) -> Compression {
    let mut all = Compression::ALL.into_iter();
    all.find(|compression| compression.to_string() == word)
        .unwrap_or_default()
}

pub(super) fn encryption(word: &str) -> Encryption {
    let mut all = Encryption::ALL.into_iter();
    all.find(|encryption| encryption.to_string() == word)
        .unwrap_or_default()
}

fn level(main: &Section<'_>, findings: &mut Findings) -> Level {
    const KEY: &str = "compression_level";
    let Some(Value::Level(level)) = main.any(KEY) else {
        return Level::Auto;
    };
    let method = main.word("compression");
    let range = match method.strip_prefix("server-").unwrap_or(method) {
        "gzip" | "bzip2" => 1..=9,
        "zstd" => -131_072..=22,
        "lz4" => 1..=12,
        _ => return level,
    };
    if let Level::Fixed(number) = level
        && !range.contains(&number)
    {
        let (least, most) = range.into_inner();
        let text = format!("{number} is not a level of {method}: auto, or {least} to {most}");
        findings.add(main.line_of(KEY), KEY, wrong(text));
    }
    level
}

/// What `[pgmoneta]` says of the log.
pub(super) fn log(main: &Section<'_>, findings: &mut Findings) -> LogSettings {
    let age = main.time("log_rotation_age");
    let size = match main.any("log_rotation_size") {
        Some(Value::Size(size)) => size,
        _ => ByteSize::default(),
    };
    let path = main.path("log_path").unwrap_or_default();
    if let Err(problem) = check_pattern(&path.to_string_lossy()) {
        findings.add(main.line_of("log_path"), "log_path", problem);
    }
    if main.word("log_mode") == "append" && !path.to_string_lossy().contains('%') {
        let rows = [
            ("log_rotation_age", age > Span(0)),
            ("log_rotation_size", size > ByteSize(0)),
        ];
        for (key, _) in rows.into_iter().filter(|(_, set)| *set) {
            let text = format!("{key} has no effect: there is no % in log_path");
            findings.warning(main.line_of(key), text);
        }
    }
    LogSettings {
        kind: match main.word("log_type") {
            "file" => LogKind::File,
            "syslog" => LogKind::Syslog,
            _ => LogKind::Console,
        },
        level: match main.word("log_level") {
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
        mode: match main.word("log_mode") {
            "create" => LogMode::Create,
            _ => LogMode::Append,
        },
    }
}

/// The files of remote management, which the C program checks at the start.
pub(super) fn check_management(main: &Section<'_>, findings: &mut Findings) {
    if main.boolean("tls") {
        for key in ["tls_cert_file", "tls_key_file"] {
            if main.own(key).is_none() {
                findings.add(
                    main.line_of("tls"),
                    key,
                    wrong("it is missing, and tls is on"),
                );
            }
        }
        check_tls_files(main, findings);
    }
}
