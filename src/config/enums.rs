//! The values of enum options, with the aliases that the C program accepts or documents.

use super::option::EnumValues;
use crate::codec::Compression;
use crate::unit::{Encryption, Names};

/// The methods, and the names by which the C program leaves the compression to PostgreSQL.
pub(super) const COMPRESSION: EnumValues = &concat::<{ Compression::NAMES.len() + 3 }>(
    &Compression::NAMES,
    &[
        ("server-gzip", &[]),
        ("server-zstd", &[]),
        ("server-lz4", &[]),
    ],
);

const fn concat<const N: usize>(mut first: EnumValues, mut second: EnumValues) -> [Names; N] {
    let mut all: [Names; N] = [("", &[]); N];
    let mut to: &mut [Names] = &mut all;
    while let [slot, rest @ ..] = to {
        let from = if first.is_empty() {
            &mut second
        } else {
            &mut first
        };
        if let [value, others @ ..] = *from {
            *slot = *value;
            *from = others;
        }
        to = rest;
    }
    all
}

pub(super) const ENCRYPTION: EnumValues = &Encryption::NAMES;

pub(super) const LOG_TYPE: EnumValues = &[("console", &[]), ("file", &[]), ("syslog", &[])];

pub(super) const LOG_LEVEL: EnumValues = &[
    ("fatal", &[]),
    ("error", &[]),
    ("warn", &[]),
    ("info", &[]),
    ("debug", &["debug1"]),
    ("debug2", &["debug3", "debug4", "debug5"]),
];

pub(super) const LOG_MODE: EnumValues = &[("append", &["a"]), ("create", &["c"])];

pub(super) const CHECKPOINT: EnumValues = &[("fast", &[]), ("spread", &[])];

pub(super) const TLS: EnumValues = &[
    ("off", &["false", "no", "0"]),
    ("on", &["true", "yes", "1"]),
    ("verify", &[]),
];

pub(super) const AUTH: EnumValues = &[
    ("scram-sha-256", &[]),
    ("md5", &[]),
    ("password", &[]),
    ("trust", &[]),
    ("peer", &[]),
    ("cert", &[]),
];

pub(super) const STORAGE: EnumValues = &[("local", &[]), ("ssh", &[]), ("s3", &[]), ("azure", &[])];

pub(super) const HUGEPAGE: EnumValues = &[("off", &[]), ("try", &[]), ("on", &[])];

pub(super) const DIRECT_IO: EnumValues = &[("off", &[]), ("auto", &["try"]), ("on", &[])];

pub(super) const LIBEV: EnumValues = &[
    ("auto", &[]),
    ("select", &[]),
    ("poll", &[]),
    ("epoll", &[]),
    ("iouring", &[]),
    ("devpoll", &[]),
    ("port", &[]),
    ("linuxaio", &[]),
];

pub(super) const TITLE: EnumValues = &[
    ("verbose", &["full"]),
    ("never", &["off"]),
    ("strict", &[]),
    ("minimal", &[]),
];

// Values of the client's configuration.

pub(super) const WIRE_COMPRESSION: EnumValues = &Compression::NAMES;

pub(super) const OUTPUT: EnumValues = &[("text", &[]), ("json", &[]), ("raw", &[])];
