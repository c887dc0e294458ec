//! The words that options take, with the spellings that the C program knows or documents.

use super::option::Words;

pub(super) const COMPRESSION: Words = &[
    ("none", &[]),
    ("gzip", &["client-gzip"]),
    ("zstd", &["client-zstd"]),
    ("lz4", &["client-lz4"]),
    ("bzip2", &["bz2", "client-bzip2", "client-bz2"]),
    ("server-gzip", &[]),
    ("server-zstd", &[]),
    ("server-lz4", &[]),
];

pub(super) const ENCRYPTION: Words = &[
    ("none", &[]),
    ("aes-256-gcm", &["aes", "aes-256"]),
    ("aes-192-gcm", &["aes-192"]),
    ("aes-128-gcm", &["aes-128"]),
];

pub(super) const LOG_TYPE: Words = &[("console", &[]), ("file", &[]), ("syslog", &[])];

pub(super) const LOG_LEVEL: Words = &[
    ("fatal", &[]),
    ("error", &[]),
    ("warn", &[]),
    ("info", &[]),
    ("debug", &["debug1"]),
    ("debug2", &["debug3", "debug4", "debug5"]),
];

pub(super) const LOG_MODE: Words = &[("append", &["a"]), ("create", &["c"])];

pub(super) const CHECKPOINT: Words = &[("fast", &[]), ("spread", &[])];

pub(super) const TLS: Words = &[
    ("off", &["false", "no", "0"]),
    ("on", &["true", "yes", "1"]),
    ("verify", &[]),
];

pub(super) const AUTH: Words = &[
    ("scram-sha-256", &[]),
    ("md5", &[]),
    ("password", &[]),
    ("trust", &[]),
    ("peer", &[]),
    ("cert", &[]),
];

pub(super) const STORAGE: Words = &[("local", &[]), ("ssh", &[]), ("s3", &[]), ("azure", &[])];

pub(super) const HUGEPAGE: Words = &[("off", &[]), ("try", &[]), ("on", &[])];

pub(super) const DIRECT_IO: Words = &[("off", &[]), ("auto", &["try"]), ("on", &[])];

pub(super) const LIBEV: Words = &[
    ("auto", &[]),
    ("select", &[]),
    ("poll", &[]),
    ("epoll", &[]),
    ("iouring", &[]),
    ("devpoll", &[]),
    ("port", &[]),
    ("linuxaio", &[]),
];

pub(super) const TITLE: Words = &[
    ("verbose", &["full"]),
    ("never", &["off"]),
    ("strict", &[]),
    ("minimal", &[]),
];

// What the configuration of the client takes.

pub(super) const WIRE_COMPRESSION: Words = &[
    ("none", &[]),
    ("gzip", &["gz"]),
    ("zstd", &[]),
    ("lz4", &[]),
    ("bzip2", &["bz2"]),
];

pub(super) const WIRE_ENCRYPTION: Words = &[
    ("none", &[]),
    (
        "aes-256-gcm",
        &["aes", "aes256", "aes-gcm", "aes256-gcm", "aes-256"],
    ),
    ("aes-192-gcm", &["aes192", "aes192-gcm", "aes-192"]),
    ("aes-128-gcm", &["aes128", "aes128-gcm", "aes-128"]),
];

pub(super) const OUTPUT: Words = &[("text", &[]), ("json", &[]), ("raw", &[])];
