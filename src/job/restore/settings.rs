//! The recovery settings. [`super::recovery_files`] writes them.

use std::fmt;
use std::net::IpAddr;

use super::cluster_files::{AUTO_CONF, RECOVERY_CONF, signal};
use super::recovery_end::RecoveryEnd;
use super::recovery_target::{Action, RecoveryTarget, Role, TargetKind};
use crate::config::{Host, Server, TlsMode};
use crate::unit::{PgVersion, Timeline, escaped};

/// A setting of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub name: &'static str,
    /// Need not be UTF-8, like names in PostgreSQL.
    pub value: Vec<u8>,
}

/// A setting that remains after recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PermanentSetting {
    pub setting: Setting,
    /// The reason, for a comment in the file: one line.
    pub why: String,
}

impl Setting {
    pub fn new(name: &'static str, value: impl Into<Vec<u8>>) -> Setting {
        let value = value.into();
        Setting { name, value }
    }

    /// The line, as `ALTER SYSTEM` writes it (`write_auto_conf_file`, PostgreSQL 18 `guc.c`).
    pub fn line(&self) -> Vec<u8> {
        [self.name.as_bytes(), b" = ", &quote(&self.value)].concat()
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} =", self.name)?;
        if !self.value.is_empty() {
            let value = match std::str::from_utf8(&self.value) {
                Ok(value) => value.to_owned(),
                Err(_) => escaped(&self.value),
            };
            write!(f, " {value}")?;
        }
        Ok(())
    }
}

/// The recovery target settings. PostgreSQL refuses to start if two are not empty, and checks them
/// in the order of the file: those that `postgresql.conf` may have set must be unset first
/// (`error_multiple_recovery_targets`, PostgreSQL `xlogrecovery.c`, in 13 and 14 `guc.c`).
const TARGETS: [&str; 5] = [
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
];

/// The settings that apply until the end of recovery; the backup ends on `backup_timeline`.
pub(super) fn recovery_settings(
    target: &RecoveryTarget,
    recovery_end: &RecoveryEnd,
    backup_timeline: Timeline,
    version: PgVersion,
) -> Vec<Setting> {
    let mut settings: Vec<Setting> = TARGETS.map(|name| Setting::new(name, "")).to_vec();
    let mut set = |name, value: &str| settings.push(Setting::new(name, value));
    set("archive_cleanup_command", "");
    set("recovery_end_command", &end_command(target.role));
    set("recovery_min_apply_delay", "0");
    if version.major < 16 {
        // The file may be that of another standby, and PostgreSQL removes it.
        set("promote_trigger_file", "");
    }
    // PostgreSQL requires a command. It fails for each file, which is then read from pg_wal.
    let command = match target.role {
        Role::Primary => "false",
        Role::Replica => "",
    };
    set("restore_command", command);
    set(
        "recovery_target_timeline",
        &timeline_setting(target, recovery_end, backup_timeline),
    );
    if let Some((name, value, inclusive)) = target_setting(target, recovery_end) {
        settings.push(Setting::new(name, value));
        let mut set = |name, value: &str| settings.push(Setting::new(name, value));
        set(
            "recovery_target_inclusive",
            if inclusive { "on" } else { "off" },
        );
        set("recovery_target_action", &target.action.to_string());
        if target.action == Action::Pause {
            // Without it the paused server accepts no queries, and recovery cannot be resumed.
            set("hot_standby", "on");
        }
    }
    settings
}

/// The permanent settings of a standby, as `pg_basebackup -R` writes them.
pub(super) fn standby_settings(
    server: &Server,
    name: &str,
    version: PgVersion,
) -> Vec<PermanentSetting> {
    let permanent = |name, value: String, why: &str| PermanentSetting {
        setting: Setting::new(name, value),
        why: why.to_owned(),
    };
    vec![
        permanent(
            "primary_conninfo",
            conninfo(server, name, version),
            "the standby streams from the server that was backed up",
        ),
        permanent(
            "primary_slot_name",
            String::new(),
            "a slot of the server that was backed up is not for this standby",
        ),
    ]
}

/// The target as a setting: name, value, and `recovery_target_inclusive`.
fn target_setting(
    target: &RecoveryTarget,
    recovery_end: &RecoveryEnd,
) -> Option<(&'static str, Vec<u8>, bool)> {
    let inclusive = target.inclusive;
    // PostgreSQL has no target for the end of WAL, but the last record can be one.
    let last = || {
        recovery_end
            .last
            .map(|last| ("recovery_target_lsn", last.to_string().into_bytes(), true))
    };
    match &target.kind {
        TargetKind::Immediate if recovery_end.stop_point.is_some() => {
            Some(("recovery_target", b"immediate".to_vec(), true))
        }
        TargetKind::Name(name) => Some(("recovery_target_name", name.clone(), true)),
        TargetKind::Xid(xid) => Some((
            "recovery_target_xid",
            xid.to_string().into_bytes(),
            inclusive,
        )),
        TargetKind::Time(time) => {
            Some(("recovery_target_time", time.utc().into_bytes(), inclusive))
        }
        TargetKind::Lsn(lsn) if recovery_end.stop_point.is_some() => Some((
            "recovery_target_lsn",
            lsn.to_string().into_bytes(),
            inclusive,
        )),
        TargetKind::Lsn(_) | TargetKind::Immediate => last(),
        TargetKind::Current if target.action == Action::Promote => None,
        TargetKind::Current if target.follows_primary() => None,
        TargetKind::Current => last(),
    }
}

/// `recovery_target_timeline`: a standby without a target follows its primary to new timelines; all
/// others stay on the timeline path that was checked.
fn timeline_setting(
    target: &RecoveryTarget,
    recovery_end: &RecoveryEnd,
    backup_timeline: Timeline,
) -> String {
    let last = recovery_end.history.timeline();
    if target.follows_primary() && !target.has_fixed_timeline() {
        "latest".to_owned()
    } else if last == backup_timeline && recovery_end.history.switches().is_empty() {
        // Needs no history file.
        "current".to_owned()
    } else {
        last.to_string()
    }
}

/// Warnings before the start of a standby.
pub(super) fn standby_warnings(server: &Server, version: PgVersion) -> Vec<String> {
    let mut warnings = vec![format!(
        "primary_conninfo has no password: if {} requires one, it is read from the .pgpass file of \
         the user that runs the standby",
        server.name
    )];
    let files = tls_pairs(server, version)
        .into_iter()
        .filter(|(key, _)| *key != "sslmode");
    let files: Vec<String> = files.map(|(_, path)| path).collect();
    if !files.is_empty() {
        let files = files.join(", ");
        warnings.push(format!(
            "primary_conninfo names files on this host that the user that runs the standby must be \
             able to read: {files}"
        ));
    }
    warnings
}

/// How a standby connects to the server that was backed up: as pgmoneta does, but without a
/// password, which belongs into the password file of the user that runs the standby.
fn conninfo(server: &Server, name: &str, version: PgVersion) -> String {
    let host = match &server.host {
        Host::Tcp(host) => host.clone(),
        Host::Unix(directory) => directory.to_string_lossy().into_owned(),
    };
    let mut pairs = vec![
        ("host", host),
        ("port", server.port.to_string()),
        ("user", server.user.clone()),
        ("application_name", name.to_owned()),
    ];
    pairs.extend(tls_pairs(server, version));
    let pairs = pairs.into_iter().map(|(key, value)| {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        format!("{key}='{value}'")
    });
    pairs.collect::<Vec<_>>().join(" ")
}

/// The TLS parameters of libpq that match those of pgmoneta. Without TLS none: by default libpq
/// uses TLS if the server supports it.
fn tls_pairs(server: &Server, version: PgVersion) -> Vec<(&'static str, String)> {
    let Host::Tcp(host) = &server.host else {
        return Vec::new();
    };
    let authority = server.tls_files.authority.as_ref();
    let (mode, authority) = match server.tls {
        TlsMode::Off => return Vec::new(),
        // With a CA file, libpq would verify the certificate.
        TlsMode::On => ("require", None),
        // libpq checks IP addresses in certificates from PostgreSQL 15 on.
        TlsMode::Verify if version.major < 15 && host.parse::<IpAddr>().is_ok() => {
            ("verify-ca", authority)
        }
        TlsMode::Verify => ("verify-full", authority),
    };
    let files = [
        ("sslrootcert", authority),
        ("sslcert", server.tls_files.certificate.as_ref()),
        ("sslkey", server.tls_files.key.as_ref()),
    ];
    let files = files.into_iter().filter_map(|(key, path)| {
        let path = path?.to_string_lossy().into_owned();
        Some((key, path))
    });
    let mode = [("sslmode", mode.to_owned())].into_iter();
    mode.chain(files).collect()
}

/// Quotes a value for PostgreSQL's configuration files (`GUC_scanstr`, PostgreSQL `guc-file.l`).
pub(super) fn quote(value: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for &byte in value {
        match byte {
            b'\'' => quoted.extend(b"''"),
            b'\\' => quoted.extend(b"\\\\"),
            b'\n' => quoted.extend(b"\\n"),
            b'\r' => quoted.extend(b"\\r"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// The `recovery_end_command`, which runs in the data directory. It removes the lines of
/// [`RECOVERY_CONF`], as `ALTER SYSTEM` copied them, and the include from `postgresql.auto.conf`.
/// It has no apostrophes and backslashes, which `ALTER SYSTEM` would double, and no percent signs.
fn end_command(role: Role) -> String {
    let signal = signal(role);
    format!(
        "a={AUTO_CONF}; r={RECOVERY_CONF}; \
         f() {{ grep -vxFf $r $a | grep -v ^include_if_exists....{signal}; }}; \
         f > $a.pgmoneta && sync && f | cmp -s - $a.pgmoneta && mv -f $a.pgmoneta $a; rm -f $r \
         $a.pgmoneta"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_as_postgresql_reads_them() {
        assert_eq!(quote(b"it's \\ here\n"), br"'it''s \\ here\n'");
        let setting = Setting::new("recovery_target_name", "it's");
        assert_eq!(setting.line(), b"recovery_target_name = 'it''s'");
        assert_eq!(setting.to_string(), "recovery_target_name = it's");
        assert_eq!(Setting::new("a", "").to_string(), "a =");
    }

    #[test]
    fn the_end_command_needs_no_escapes() {
        for role in [Role::Primary, Role::Replica] {
            assert!(!end_command(role).contains(['\'', '\\', '%', '\n']));
        }
    }
}
