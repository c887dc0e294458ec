//! Builds a typed server from the values of its section.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::build::{check_socket, threads};
use super::model::{AuthMethods, Checkpoint, Host, Retention, Server, TlsFiles, TlsMode};
use super::problem::{Diagnostics, invalid};
use super::section::Section;
use super::tls::check_tls_files;
use super::value::Value;
use crate::error::Error;
use crate::unit::{ByteSize, ServerName};

/// The maximum length of an identifier in bytes (NAMEDATALEN - 1 in pg_config_manual.h).
const MAX_IDENTIFIER: usize = 63;

/// Builds a server and checks values that depend on each other; `None` if its name is invalid.
pub(super) fn server(
    section: &Section<'_>,
    main: &Section<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Server> {
    let name = match section.title.parse::<ServerName>() {
        Ok(name) => Some(name),
        Err(problem) => {
            diagnostics.add(section.line, "", invalid(problem.message()));
            None
        }
    };
    let check = |key: &str, problem: Result<(), Error>, diagnostics: &mut Diagnostics| {
        if let Err(problem) = problem {
            diagnostics.add(section.line_of(key), key, problem);
        }
    };
    let port = u16::try_from(section.number("port")).unwrap_or(0);
    let host = host(&section.text("host"));
    check("host", check_host(&host, port), diagnostics);
    let wal_slot = section.text("wal_slot");
    check("wal_slot", check_slot(&wal_slot), diagnostics);
    let application_name = section.text("application_name");
    check(
        "application_name",
        check_application_name(&application_name),
        diagnostics,
    );
    let tls_files = check_tls_files(section, diagnostics);
    let tls = match section.local("tls") {
        Some(_) => parse_tls_mode(section.enum_value("tls")),
        None if tls_files.authority.is_some() => TlsMode::Verify,
        None if tls_files.certificate.is_some() => TlsMode::On,
        None => TlsMode::Off,
    };
    if tls == TlsMode::Verify && tls_files.authority.is_none() {
        let problem = invalid("verify needs a tls_ca_file");
        diagnostics.add(section.line_of("tls"), "tls", problem);
    }
    let workers = match section.any("workers") {
        Some(Value::Integer(number)) if number >= 0 => section.number("workers"),
        _ => main.number("workers"),
    };
    let auth = auth(section, (&host, tls), &tls_files, diagnostics);
    Some(Server {
        name: name?,
        host,
        port,
        user: section.text("user"),
        wal_slot,
        create_slot: section.boolean("create_slot"),
        application_name,
        workers: threads(workers),
        configured_workers: workers,
        max_rate: max_rate(section, main),
        checkpoint: match section.enum_value("checkpoint") {
            "spread" => Checkpoint::Spread,
            _ => Checkpoint::Fast,
        },
        retention: retention(section, Some(main), diagnostics),
        wal_receiver_timeout: section.time("wal_receiver_timeout"),
        tls,
        tls_files,
        auth,
    })
}

fn parse_tls_mode(name: &str) -> TlsMode {
    match name {
        "verify" => TlsMode::Verify,
        "on" => TlsMode::On,
        _ => TlsMode::Off,
    }
}

fn host(text: &str) -> Host {
    if text.starts_with('/') {
        return Host::Unix(PathBuf::from(text));
    }
    // As in URLs; the brackets are not part of the address.
    let inside = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    Host::Tcp(
        inside
            .filter(|text| is_ipv6(text))
            .unwrap_or(text)
            .to_owned(),
    )
}

/// Whether a text is an IPv6 address, with or without a zone (`fe80::1%eth0`).
fn is_ipv6(text: &str) -> bool {
    let address = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address,
        Some(_) => return false,
        None => text,
    };
    address.parse::<Ipv6Addr>().is_ok()
}

/// The maximum length of a host name in bytes (RFC 1035, section 2.3.4).
const MAX_HOST_NAME: usize = 253;

/// Whether a text may be a host name (letters, digits, `-`, `_` and dots) or an address.
fn is_host(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_name =
        name.len() <= MAX_HOST_NAME && name.chars().all(fits) && !name.starts_with(['-', '.']);
    is_name || is_ipv6(name)
}

fn check_host(host: &Host, port: u16) -> Result<(), Error> {
    match host {
        Host::Tcp(name) if is_host(name) => Ok(()),
        Host::Tcp(name) => {
            let problem = invalid(format!("{name:?} is neither a host name nor an address"));
            Err(if name.contains(',') {
                problem.with_hint("a server has one host: add a section for each other host")
            } else if name.contains(':') {
                problem.with_hint("host takes no port and no scheme: set the port with port =")
            } else {
                problem
            })
        }
        Host::Unix(directory) => check_socket(&directory.join(format!(".s.PGSQL.{port}"))),
    }
}

/// Checks the name of a slot as PostgreSQL does (ReplicationSlotValidateName in slot.c).
fn check_slot(name: &str) -> Result<(), Error> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.len() <= MAX_IDENTIFIER && name.chars().all(fits) {
        return Ok(());
    }
    Err(invalid(format!("{name:?} is not a valid slot name"))
        .with_hint("a slot name has at most 63 lower case letters, digits and _"))
}

/// PostgreSQL replaces what is not printable ASCII by `?` (check_application_name in variable.c).
fn check_application_name(name: &str) -> Result<(), Error> {
    let fits = |c: char| c == ' ' || c.is_ascii_graphic();
    if name.len() <= MAX_IDENTIFIER && name.chars().all(fits) {
        return Ok(());
    }
    Err(invalid(format!(
        "{name:?} has more than 63 characters, or some that are not printable ASCII"
    )))
}

fn max_rate(section: &Section<'_>, main: &Section<'_>) -> Option<ByteSize> {
    let configured = section.any("max_rate");
    let rate = match configured {
        Some(Value::Size(_)) => configured,
        _ => main.any("max_rate"),
    };
    match rate {
        Some(Value::Size(rate)) if rate > ByteSize(0) => Some(rate),
        _ => None,
    }
}

/// Without a setting, methods that do not authenticate the server are allowed only where the
/// connection does: over a Unix socket, and over TLS with certificates of both sides.
fn auth(
    section: &Section<'_>,
    (host, tls): (&Host, TlsMode),
    files: &TlsFiles,
    diagnostics: &mut Diagnostics,
) -> AuthMethods {
    const KEY: &str = "auth";
    let unix = matches!(host, Host::Unix(_));
    let methods = match section.local(KEY) {
        Some(Value::EnumList(methods)) => methods,
        _ => {
            return AuthMethods {
                trust: unix,
                cert: tls == TlsMode::Verify && files.certificate.is_some(),
                ..AuthMethods::default()
            };
        }
    };
    let has = |name: &str| methods.contains(&name);
    let line = section.line_of(KEY);
    if has("peer") && !unix {
        let problem = invalid("peer works over a Unix socket only")
            .with_hint("trust allows a connection without authentication");
        diagnostics.add(line, KEY, problem);
    }
    if has("cert") && (tls == TlsMode::Off || files.certificate.is_none()) {
        diagnostics.add(line, KEY, invalid("cert needs tls and tls_cert_file"));
    }
    AuthMethods {
        md5: has("md5"),
        password: has("password"),
        trust: has("trust") || has("peer"),
        cert: has("cert"),
    }
}

/// The retention of a section; fields that it does not set are those of `[pgmoneta]`.
pub(super) fn retention(
    section: &Section<'_>,
    main: Option<&Section<'_>>,
    diagnostics: &mut Diagnostics,
) -> Retention {
    const KEY: &str = "retention";
    let read = |section: &Section<'_>| match section.any(KEY) {
        Some(Value::Retention(retention)) => retention,
        _ => Retention::default(),
    };
    let local = read(section);
    let global = main.map(read).unwrap_or_default();
    let retention = Retention {
        days: local.days.or(global.days),
        weeks: local.weeks.or(global.weeks),
        months: local.months.or(global.months),
        years: local.years.or(global.years),
    };
    if section.local(KEY).is_some() {
        let problem = |text: &str| invalid(text);
        let found = if retention.days.is_none() {
            Some("days cannot be unset")
        } else if retention.years.is_some() && retention.months.is_some_and(|months| months > 12) {
            Some("where there are years, months are at most 12")
        } else if retention.months.is_some() && retention.weeks.is_some_and(|weeks| weeks > 4) {
            Some("where there are months, weeks are at most 4")
        } else {
            None
        };
        if let Some(text) = found {
            diagnostics.add(section.line_of(KEY), KEY, problem(text));
        }
    }
    retention
}
