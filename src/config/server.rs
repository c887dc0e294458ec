//! From the values of a server's section to the typed server.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::build::{check_socket, threads};
use super::model::{AuthMethods, Checkpoint, Host, Retention, Server, TlsFiles, TlsMode};
use super::problem::{Findings, wrong};
use super::section::Section;
use super::tls::check_tls_files;
use super::value::Value;
use crate::error::Failure;
use crate::unit::{ByteSize, ServerName};

/// The longest identifier in bytes (NAMEDATALEN - 1 in pg_config_manual.h).
const LONGEST_IDENTIFIER: usize = 63;

/// Builds a server and checks what concerns more than one value; `None` without a proper name.
pub(super) fn server(
    section: &Section<'_>,
    main: &Section<'_>,
    findings: &mut Findings,
) -> Option<Server> {
    let name = match section.title.parse::<ServerName>() {
        Ok(name) => Some(name),
        Err(problem) => {
            findings.add(section.line, "", wrong(problem.message()));
            None
        }
    };
    let check = |key: &str, problem: Result<(), Failure>, findings: &mut Findings| {
        if let Err(problem) = problem {
            findings.add(section.line_of(key), key, problem);
        }
    };
    let port = u16::try_from(section.number("port")).unwrap_or(0);
    let host = host(&section.text("host"));
    check("host", check_host(&host, port), findings);
    let wal_slot = section.text("wal_slot");
    check("wal_slot", check_slot(&wal_slot), findings);
    let application_name = section.text("application_name");
    check(
        "application_name",
        check_application_name(&application_name),
        findings,
    );
    let tls_files = check_tls_files(section, findings);
    let tls = match section.own("tls") {
        Some(_) => tls_word(section.word("tls")),
        None if tls_files.authority.is_some() => TlsMode::Verify,
        None if tls_files.certificate.is_some() => TlsMode::On,
        None => TlsMode::Off,
    };
    if tls == TlsMode::Verify && tls_files.authority.is_none() {
        let problem = wrong("verify needs a tls_ca_file");
        findings.add(section.line_of("tls"), "tls", problem);
    }
    let workers = match section.any("workers") {
        Some(Value::Integer(number)) if number >= 0 => section.number("workers"),
        _ => main.number("workers"),
    };
    let auth = auth(section, (&host, tls), &tls_files, findings);
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
        checkpoint: match section.word("checkpoint") {
            "spread" => Checkpoint::Spread,
            _ => Checkpoint::Fast,
        },
        retention: retention(section, Some(main), findings),
        wal_receiver_timeout: section.time("wal_receiver_timeout"),
        tls,
        tls_files,
        auth,
    })
}

fn tls_word(word: &str) -> TlsMode {
    match word {
        "verify" => TlsMode::Verify,
        "on" => TlsMode::On,
        _ => TlsMode::Off,
    }
}

fn host(text: &str) -> Host {
    if text.starts_with('/') {
        return Host::Unix(PathBuf::from(text));
    }
    // As in URLs; the brackets are no part of the address.
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

/// Whether a text is an IPv6 address, maybe with a zone (`fe80::1%eth0`).
fn is_ipv6(text: &str) -> bool {
    let address = match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address,
        Some(_) => return false,
        None => text,
    };
    address.parse::<Ipv6Addr>().is_ok()
}

/// The longest name of a host, characters (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 253;

/// What a resolver may know: letters, digits, `-`, `_` and dots, or an address.
fn is_host(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let named =
        name.len() <= LONGEST_HOST && name.chars().all(fits) && !name.starts_with(['-', '.']);
    named || is_ipv6(name)
}

fn check_host(host: &Host, port: u16) -> Result<(), Failure> {
    match host {
        Host::Tcp(name) if is_host(name) => Ok(()),
        Host::Tcp(name) => {
            let problem = wrong(format!(
                "{name:?} is neither a name nor an address of a host"
            ));
            Err(if name.contains(',') {
                problem.hint("a server has one host: give another host a section of its own")
            } else if name.contains(':') {
                problem.hint("host has no port and no scheme: the port is said with port =")
            } else {
                problem
            })
        }
        Host::Unix(directory) => check_socket(&directory.join(format!(".s.PGSQL.{port}"))),
    }
}

/// A slot's name, as PostgreSQL wants it (ReplicationSlotValidateName in slot.c).
fn check_slot(name: &str) -> Result<(), Failure> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.len() <= LONGEST_IDENTIFIER && name.chars().all(fits) {
        return Ok(());
    }
    Err(wrong(format!("{name:?} is not the name of a slot"))
        .hint("a slot has at most 63 lower case letters, digits and _"))
}

/// PostgreSQL puts `?` in the place of what is not printable ASCII (check_application_name in variable.c).
fn check_application_name(name: &str) -> Result<(), Failure> {
    let fits = |c: char| c == ' ' || c.is_ascii_graphic();
    if name.len() <= LONGEST_IDENTIFIER && name.chars().all(fits) {
        return Ok(());
    }
    Err(wrong(format!(
        "{name:?} has more than 63 characters, or others than printable ASCII"
    )))
}

fn max_rate(section: &Section<'_>, main: &Section<'_>) -> Option<ByteSize> {
    let said = section.any("max_rate");
    let rate = match said {
        Some(Value::Size(_)) => said,
        _ => main.any("max_rate"),
    };
    match rate {
        Some(Value::Size(rate)) if rate > ByteSize(0) => Some(rate),
        _ => None,
    }
}

/// What is allowed if nothing is said depends on who else could be at the other end: nobody at that of a Unix socket, and
/// nobody at that of a connection on which both sides have shown their certificates.
fn auth(
    section: &Section<'_>,
    (host, tls): (&Host, TlsMode),
    files: &TlsFiles,
    findings: &mut Findings,
) -> AuthMethods {
    const KEY: &str = "auth";
    let unix = matches!(host, Host::Unix(_));
    let words = match section.own(KEY) {
        Some(Value::Words(words)) => words,
        _ => {
            return AuthMethods {
                trust: unix,
                cert: tls == TlsMode::Verify && files.certificate.is_some(),
                ..AuthMethods::default()
            };
        }
    };
    let has = |word: &str| words.contains(&word);
    let line = section.line_of(KEY);
    if has("peer") && !unix {
        let problem = wrong("peer works over a Unix socket only")
            .hint("trust allows a server to let us in without any proof");
        findings.add(line, KEY, problem);
    }
    if has("cert") && (tls == TlsMode::Off || files.certificate.is_none()) {
        findings.add(line, KEY, wrong("cert needs tls and tls_cert_file"));
    }
    AuthMethods {
        md5: has("md5"),
        password: has("password"),
        trust: has("trust") || has("peer"),
        cert: has("cert"),
    }
}

/// How long backups are kept: what the section leaves open `[pgmoneta]` says.
pub(super) fn retention(
    section: &Section<'_>,
    main: Option<&Section<'_>>,
    findings: &mut Findings,
) -> Retention {
    const KEY: &str = "retention";
    let read = |section: &Section<'_>| match section.any(KEY) {
        Some(Value::Retention(retention)) => retention,
        _ => Retention::default(),
    };
    let own = read(section);
    let above = main.map(read).unwrap_or_default();
    let retention = Retention {
        days: own.days.or(above.days),
        weeks: own.weeks.or(above.weeks),
        months: own.months.or(above.months),
        years: own.years.or(above.years),
    };
    if section.own(KEY).is_some() {
        let problem = |text: &str| wrong(text);
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
            findings.add(section.line_of(KEY), KEY, problem(text));
        }
    }
    retention
}
