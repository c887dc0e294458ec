//! Reads members of a response. A missing one yields an empty value: the daemon may have another
//! version.

use serde_json::Value;

use crate::codec::Compression;
use crate::protocol::Members;
use crate::unit::{ByteSize, Encryption, Lsn};

/// A string; empty if it is missing.
pub(super) fn text(fields: &Members, name: &str) -> String {
    fields
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// A number that is a whole one and not negative.
pub(super) fn number(fields: &Members, name: &str) -> Option<u64> {
    fields.get(name).and_then(Value::as_u64)
}

/// A boolean, if it is present.
pub(super) fn flag(fields: &Members, name: &str) -> Option<bool> {
    fields.get(name).and_then(Value::as_bool)
}

/// A size in bytes, printed with its unit; empty if it is missing.
pub(super) fn size(fields: &Members, name: &str) -> String {
    number(fields, name).map_or_else(String::new, |bytes| ByteSize(bytes).to_string())
}

/// The objects of an array; an empty array is `{}` in the protocol.
pub(super) fn objects<'a>(fields: &'a Members, name: &str) -> Vec<&'a Members> {
    match fields.get(name) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_object).collect(),
        _ => Vec::new(),
    }
}

/// The strings of an array.
pub(super) fn texts(fields: &Members, name: &str) -> Vec<String> {
    match fields.get(name) {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// `yes`, `no` or, if it is missing, `unknown`.
pub(super) fn yes(flag: Option<bool>) -> &'static str {
    match flag {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

/// Whether a backup is valid; one of the C program can be restored by that program only.
pub(super) fn valid(fields: &Members) -> &'static str {
    match fields.get("Valid").and_then(Value::as_i64) {
        Some(1) if flag(fields, "Readable") == Some(false) => "for the C program",
        Some(1) => "yes",
        Some(0) => "no",
        _ => "unknown",
    }
}

/// The compression and encryption of a backup: `zstd`, `zstd, aes-256-gcm`.
pub(super) fn coding(fields: &Members) -> String {
    let code = |name: &str| number(fields, name).and_then(|code| u32::try_from(code).ok());
    let compression = code("Compression")
        .and_then(Compression::from_code)
        .unwrap_or(Compression::None);
    let encryption = code("Encryption")
        .and_then(Encryption::from_code)
        .unwrap_or_default();
    match encryption {
        Encryption::None => compression.to_string(),
        _ => format!("{compression}, {encryption}"),
    }
}

/// An LSN from the members with its high and low 32 bits; empty if one is missing.
pub(super) fn lsn(fields: &Members, prefix: &str) -> String {
    let half = |name: &str| number(fields, &format!("{prefix}{name}LSN"));
    match (half("Hi"), half("Lo")) {
        (Some(high), Some(low)) => Lsn(high << 32 | low).to_string(),
        _ => String::new(),
    }
}

/// `PostgreSQL 17.10`; empty if the version is unknown.
pub(super) fn version(fields: &Members) -> String {
    match (
        number(fields, "MajorVersion"),
        number(fields, "MinorVersion"),
    ) {
        (Some(major @ 1..), minor) => format!("PostgreSQL {major}.{}", minor.unwrap_or(0)),
        _ => String::new(),
    }
}

/// The name of a server with its version: `primary (PostgreSQL 17.10)`.
pub(super) fn server(fields: &Members) -> String {
    let (name, version) = (text(fields, "Server"), version(fields));
    match version.as_str() {
        "" => name,
        _ => format!("{name} ({version})"),
    }
}

/// A duration in seconds, one decimal below a minute: `2.1 s`; empty if it is 0 or missing.
pub(super) fn seconds(fields: &Members, name: &str) -> String {
    match fields.get(name).and_then(Value::as_f64) {
        Some(seconds) if seconds >= 60.0 => crate::app::cli::text::human_duration(
            std::time::Duration::from_secs_f64(seconds.min(1e9)).as_secs(),
        ),
        Some(seconds) if seconds > 0.0 => format!("{seconds:.1} s"),
        _ => String::new(),
    }
}
