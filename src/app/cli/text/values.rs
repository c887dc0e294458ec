//! Values of responses as text.

use std::time::Duration;

use crate::protocol::{BackupMembers, ServerMembers, Valid};
use crate::unit::{ByteSize, Encryption, human_duration};

/// A size in bytes with its unit.
pub(super) fn size(bytes: u64) -> String {
    ByteSize(bytes).to_string()
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
pub(super) fn valid(valid: Valid, readable: Option<bool>) -> &'static str {
    match valid {
        Valid::Yes if readable == Some(false) => "for the C program",
        Valid::Yes => "yes",
        Valid::No => "no",
        Valid::Unknown => "unknown",
    }
}

/// The compression and encryption of a backup: `zstd`, `zstd, aes-256-gcm`.
pub(super) fn coding(backup: &BackupMembers) -> String {
    let (compression, encryption) = (backup.compression.0, backup.encryption.0);
    match encryption {
        Encryption::None => compression.to_string(),
        _ => format!("{compression}, {encryption}"),
    }
}

/// `12.60MB stored (zstd), 15.47MB restored`
pub(super) fn sizes(backup: &BackupMembers) -> String {
    format!(
        "{} stored ({}), {} restored",
        size(backup.backup_size),
        coding(backup),
        size(backup.restore_size)
    )
}

/// The name of a server with its version: `primary (PostgreSQL 17.10)`.
pub(super) fn server(server: &ServerMembers) -> String {
    match server.version() {
        Some(version) => format!("{} (PostgreSQL {version})", server.server),
        None => server.server.clone(),
    }
}

/// A duration in seconds, one decimal below a minute: `2.1 s`; empty if it is 0 or missing.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds >= 60.0 {
        human_duration(Duration::from_secs_f64(seconds.min(1e9)).as_secs())
    } else if seconds > 0.0 {
        format!("{seconds:.1} s")
    } else {
        String::new()
    }
}
