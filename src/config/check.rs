//! Checks of values, of one key or of several that depend on each other, and the defaults that
//! follow from other values.

use std::collections::BTreeMap;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use super::document::Section;
use super::model::{
    AuthMethod, AuthMethods, Config, Host, Management, Retention, Server, TlsFiles, TlsMode,
};
use super::problem::{Diagnostics, invalid};
use crate::codec::{Compression, Level};
use crate::error::Result;
use crate::logging::{LogMode, LogSettings};
use crate::storage::{Access, check_access};

/// The maximum length in bytes of the path of the management socket, which every system accepts
/// (`sun_path` of the BSDs has 104, with the final zero byte).
const MAX_SOCKET_PATH: usize = 103;

/// The maximum length of an identifier in bytes (NAMEDATALEN - 1 in pg_config_manual.h).
const MAX_IDENTIFIER: usize = 63;

/// The minimum length of the queue of connections to accept (listen(2)).
const MIN_BACKLOG: u32 = 16;

/// Fails if `unix_socket_dir` is not a directory.
pub(super) fn socket_directory(text: &str) -> Result<()> {
    match Path::new(text).metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(invalid(format!("{text} is not a directory"))),
        Err(error) => Err(invalid(format!("{text}: {error}")))
            .map_err(|problem| problem.with_hint(format!("mkdir -m 0700 {text}"))),
    }
}

/// Fails if `base_dir` is there and not a directory.
pub(super) fn base_directory(text: &str) -> Result<()> {
    let path = Path::new(text);
    if path.exists() && !path.is_dir() {
        return Err(invalid(format!("{text} is not a directory")));
    }
    Ok(())
}

/// Checks the name of a slot as PostgreSQL does (ReplicationSlotValidateName in slot.c).
pub(super) fn slot_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.len() <= MAX_IDENTIFIER && name.chars().all(fits) {
        return Ok(());
    }
    Err(invalid(format!("{name:?} is not a valid slot name"))
        .with_hint("a slot name has at most 63 lower case letters, digits and _"))
}

/// PostgreSQL replaces what is not printable ASCII by `?` (check_application_name in variable.c).
pub(super) fn application_name(name: &str) -> Result<()> {
    let fits = |c: char| c == ' ' || c.is_ascii_graphic();
    if name.len() <= MAX_IDENTIFIER && name.chars().all(fits) {
        return Ok(());
    }
    Err(invalid(format!(
        "{name:?} has more than 63 characters, or some that are not printable ASCII"
    )))
}

/// Checks `[pgmoneta]`, and sets what follows from other values.
pub(super) fn daemon(section: &Section, config: &mut Config, diagnostics: &mut Diagnostics) {
    if config.pidfile.as_os_str().is_empty() {
        let host = if config.host == "*" {
            "all"
        } else {
            &config.host
        };
        config.pidfile = config.unix_socket_dir.join(format!("pgmoneta.{host}.pid"));
    }
    config.backlog = config.backlog.max(MIN_BACKLOG);
    report(
        section,
        "unix_socket_dir",
        management_socket(&config.socket_path()),
        diagnostics,
    );
    compression(section, config, diagnostics);
    log(section, &config.log, diagnostics);
    retention(section, &config.server_defaults.retention, diagnostics);
    management(section, &config.management, diagnostics);
    metrics(section, &config.metrics_tls, diagnostics);
}

/// Checks the section of a server, and sets what follows from other values.
pub(super) fn server(section: &Section, server: &mut Server, diagnostics: &mut Diagnostics) {
    if let Host::Unix(directory) = &server.host {
        let socket = directory.join(format!(".s.PGSQL.{}", server.port));
        report(section, "host", server_socket(&socket), diagnostics);
    }
    tls_files(section, TLS_KEYS, &server.tls_files, diagnostics);
    if section.text("tls").is_none() {
        server.tls = match &server.tls_files {
            files if files.authority.is_some() => TlsMode::Verify,
            files if files.certificate.is_some() => TlsMode::On,
            _ => TlsMode::Off,
        };
    }
    if server.tls == TlsMode::Verify && server.tls_files.authority.is_none() {
        let problem = invalid("verify needs a tls_ca_file");
        report(section, "tls", Err(problem), diagnostics);
    }
    authentication(section, server, diagnostics);
    retention(section, &server.retention, diagnostics);
}

/// Fails for a server that follows itself or an unknown server, and for two with the same slot.
pub(super) fn servers(sections: &[Section], servers: &[Server], diagnostics: &mut Diagnostics) {
    for section in sections {
        let Some(name) = section.text("follow") else {
            continue;
        };
        if name == section.title {
            let problem = invalid("a server cannot follow itself");
            report(section, "follow", Err(problem), diagnostics);
        } else if !sections.iter().any(|other| other.title == name) {
            let problem = invalid(format!("there is no server {name:?}"));
            report(section, "follow", Err(problem), diagnostics);
        }
    }
    let mut known = BTreeMap::new();
    for server in servers {
        if server.port == 0 || server.wal_slot.is_empty() {
            continue;
        }
        let slot = (server.host.to_string(), server.port, &server.wal_slot);
        let Some(other) = known.insert(slot, &server.name) else {
            continue;
        };
        let named = |section: &&Section| section.title == server.name.as_str();
        if let Some(section) = sections.iter().find(named) {
            let problem = invalid(format!("server [{other}] has the same host, port and slot"));
            report(section, "wal_slot", Err(problem), diagnostics);
        }
    }
}

/// Checks the settings of the log together.
pub(super) fn log(section: &Section, log: &LogSettings, diagnostics: &mut Diagnostics) {
    if log.mode != LogMode::Append || log.path.to_string_lossy().contains('%') {
        return;
    }
    let rows = [
        ("log_rotation_age", log.rotation_age.is_some()),
        ("log_rotation_size", log.rotation_size.is_some()),
    ];
    for (key, _) in rows.into_iter().filter(|(_, set)| *set) {
        let text = format!("{key} has no effect: there is no % in log_path");
        diagnostics.warning(Some(section.line_of(key)), text);
    }
}

fn report(section: &Section, key: &str, result: Result<()>, diagnostics: &mut Diagnostics) {
    if let Err(problem) = result {
        diagnostics.add(Some(section.line_of(key)), key, problem);
    }
}

/// Fails if the path of the management socket is too long.
fn management_socket(path: &Path) -> Result<()> {
    let length = path.as_os_str().len();
    if length <= MAX_SOCKET_PATH {
        return Ok(());
    }
    Err(invalid(format!(
        "the path of the socket, {}, has {length} bytes; the maximum is {MAX_SOCKET_PATH}",
        path.display()
    )))
}

/// Fails if this system cannot connect to a Unix socket with this path.
fn server_socket(path: &Path) -> Result<()> {
    let address = SocketAddr::from_pathname(path).map(|_| ());
    address.map_err(|error| {
        invalid(format!(
            "the path of the socket, {}: {error}",
            path.display()
        ))
    })
}

fn compression(section: &Section, config: &Config, diagnostics: &mut Diagnostics) {
    let method = config.compression;
    if let Some(name) = section.text("compression")
        && name.to_ascii_lowercase().starts_with("server-")
    {
        let text =
            format!("compression: {name} is done by pgmoneta, as {method}, not by the server");
        diagnostics.warning(Some(section.line_of("compression")), text);
    }
    let levels = method.levels();
    if let Level::Fixed(level) = config.compression_level
        && method != Compression::None
        && !levels.contains(&level)
    {
        let (min, max) = levels.into_inner();
        let text = format!("{level} is not a level of {method}: auto, or {min} to {max}");
        report(
            section,
            "compression_level",
            Err(invalid(text)),
            diagnostics,
        );
    }
}

/// The keys of the files of a TLS connection: certificate, key, authorities.
type TlsKeys = [&'static str; 3];

const TLS_KEYS: TlsKeys = ["tls_cert_file", "tls_key_file", "tls_ca_file"];

const METRICS_KEYS: TlsKeys = ["metrics_cert_file", "metrics_key_file", "metrics_ca_file"];

/// Authorities without a certificate would let everybody in who speaks no TLS.
fn metrics(section: &Section, files: &TlsFiles, diagnostics: &mut Diagnostics) {
    tls_files(section, METRICS_KEYS, files, diagnostics);
    let [certificate, _, authority] = METRICS_KEYS;
    if files.authority.is_some() && files.certificate.is_none() {
        let problem = invalid(format!("it is set, and {certificate} is not"));
        report(section, authority, Err(problem), diagnostics);
    }
}

/// Each file must be readable, and the key not by others.
fn tls_files(
    section: &Section,
    [certificate, private, authority]: TlsKeys,
    files: &TlsFiles,
    diagnostics: &mut Diagnostics,
) {
    let rows = [
        (certificate, &files.certificate, Access::Public),
        (private, &files.key, Access::SharedWithGroup),
        (authority, &files.authority, Access::Public),
    ];
    for (key, path, access) in rows {
        let Some(path) = path else { continue };
        let readable = || {
            let opened = std::fs::File::open(path).map(|_| ());
            opened.map_err(|error| invalid(format!("{}: {error}", path.display())))
        };
        let result = check_access(path, access).and_then(|()| readable());
        report(section, key, result, diagnostics);
    }
    for (key, other) in [(certificate, private), (private, certificate)] {
        if section.text(key).is_some() && section.text(other).is_none() {
            let problem = invalid(format!("it is set, and {other} is not"));
            report(section, key, Err(problem), diagnostics);
        }
    }
}

/// Without a setting, methods that do not authenticate the server are allowed only where the
/// connection does: over a Unix socket, and over TLS with certificates of both sides.
fn authentication(section: &Section, server: &mut Server, diagnostics: &mut Diagnostics) {
    const KEY: &str = "auth";
    let unix = matches!(server.host, Host::Unix(_));
    let has_certificate = server.tls_files.certificate.is_some();
    if section.text(KEY).is_none() {
        server.auth = AuthMethods {
            trust: unix,
            cert: server.tls == TlsMode::Verify && has_certificate,
            ..AuthMethods::default()
        };
        return;
    }
    if server.auth.allows(AuthMethod::Peer) && !unix {
        let problem = invalid("peer works over a Unix socket only")
            .with_hint("trust allows a connection without authentication");
        report(section, KEY, Err(problem), diagnostics);
    }
    if server.auth.allows(AuthMethod::Cert) && (server.tls == TlsMode::Off || !has_certificate) {
        let problem = invalid("cert needs tls and tls_cert_file");
        report(section, KEY, Err(problem), diagnostics);
    }
}

/// Checks the rules of a section that sets some, with those that it inherits.
fn retention(section: &Section, retention: &Retention, diagnostics: &mut Diagnostics) {
    const KEY: &str = "retention";
    if section.text(KEY).is_none() {
        return;
    }
    let problem = if retention.days.is_none() {
        "days cannot be unset"
    } else if retention.years.is_some() && retention.months.is_some_and(|months| months > 12) {
        "where there are years, months are at most 12"
    } else if retention.months.is_some() && retention.weeks.is_some_and(|weeks| weeks > 4) {
        "where there are months, weeks are at most 4"
    } else {
        return;
    };
    report(section, KEY, Err(invalid(problem)), diagnostics);
}

/// Checks the files of remote management, which the C program checks at startup.
fn management(section: &Section, management: &Management, diagnostics: &mut Diagnostics) {
    if !management.tls {
        return;
    }
    for key in ["tls_cert_file", "tls_key_file"] {
        if section.text(key).is_none() {
            let problem = invalid("it is missing, and tls is on");
            diagnostics.add(Some(section.line_of("tls")), key, problem);
        }
    }
    tls_files(section, TLS_KEYS, &management.tls_files, diagnostics);
}
