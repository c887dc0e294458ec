//! The values of enum options, with the aliases that the C program accepts or documents.

use super::option::EnumValues;

pub(super) const COMPRESSION: EnumValues = &[
    ("none", &[]),
    ("gzip", &["client-gzip"]),
    ("zstd", &["client-zstd"]),
    ("lz4", &["client-lz4"]),
    ("bzip2", &["bz2", "client-bzip2", "client-bz2"]),
    ("server-gzip", &[]),
    ("server-zstd", &[]),
    ("server-lz4", &[]),
];

pub(super) const ENCRYPTION: EnumValues = &[
    ("none", &[]),
    ("aes-256-gcm", &["aes", "aes-256"]),
    ("aes-192-gcm", &["aes-192"]),
    ("aes-128-gcm", &["aes-128"]),
];

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

pub(super) const WIRE_COMPRESSION: EnumValues = &[
    ("none", &[]),
    ("gzip", &["gz"]),
    ("zstd", &[]),
    ("lz4", &[]),
    ("bzip2", &["bz2"]),
];

pub(super) const WIRE_ENCRYPTION: EnumValues = &[
    ("none", &[]),
    (
        "aes-256-gcm",
        &["aes", "aes256", "aes-gcm", "aes256-gcm", "aes-256"],
    ),
    ("aes-192-gcm", &["aes192", "aes192-gcm", "aes-192"]),
    ("aes-128-gcm", &["aes128", "aes128-gcm", "aes-128"]),
];

pub(super) const OUTPUT: EnumValues = &[("text", &[]), ("json", &[]), ("raw", &[])];
