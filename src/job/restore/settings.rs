//! The recovery settings. How they are written says [`super::recovery_files`].

use std::fmt;
use std::net::IpAddr;

use super::position::{Action, Position, Role, Target};
use super::reach::Reach;
use super::recovery_files::end_command;
use crate::config::{Host, Server, TlsMode};
use crate::unit::{PgVersion, Timeline, escaped};

/// A setting for a file of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub name: &'static str,
    /// Bytes: PostgreSQL's names need not be UTF-8.
    pub value: Vec<u8>,
}

/// A setting that stays when recovery has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lasting {
    pub setting: Setting,
    /// Why it was written: a line of text.
    pub why: String,
}

impl Setting {
    pub fn new(name: &'static str, value: impl Into<Vec<u8>>) -> Setting {
        let value = value.into();
        Setting { name, value }
    }

    /// The line, as `ALTER SYSTEM` writes it too (`write_auto_conf_file`, PostgreSQL 18 `guc.c`).
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

/// The targets. PostgreSQL refuses a start with two that are not empty, and looks at them in the order of the file:
/// those that `postgresql.conf` may have set must be emptied before ours is set (`error_multiple_recovery_targets`,
/// PostgreSQL `xlogrecovery.c`, in 13 and 14 `guc.c`).
const TARGETS: [&str; 5] = [
    "recovery_target",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
];

/// The settings until recovery has ended, of a backup that ends on timeline `of_backup` of a server of this version.
pub(super) fn recovery(
    position: &Position,
    reach: &Reach,
    of_backup: Timeline,
    version: PgVersion,
) -> Vec<Setting> {
    let mut settings: Vec<Setting> = TARGETS.map(|name| Setting::new(name, "")).to_vec();
    let mut set = |name, value: &str| settings.push(Setting::new(name, value));
    set("archive_cleanup_command", "");
    set("recovery_end_command", &end_command(position.role));
    set("recovery_min_apply_delay", "0");
    if version.major < 16 {
        // The file may be that of another standby, and PostgreSQL removes it.
        set("promote_trigger_file", "");
    }
    // PostgreSQL demands a command. It fails for each file, and then the file is looked for in pg_wal.
    let command = match position.role {
        Role::Primary => "false",
        Role::Replica => "",
    };
    set("restore_command", command);
    set(
        "recovery_target_timeline",
        &timeline(position, reach, of_backup),
    );
    if let Some((name, value, inclusive)) = target(position, reach) {
        settings.push(Setting::new(name, value));
        let mut set = |name, value: &str| settings.push(Setting::new(name, value));
        set(
            "recovery_target_inclusive",
            if inclusive { "on" } else { "off" },
        );
        set("recovery_target_action", &position.action.to_string());
        if position.action == Action::Pause {
            // Without it nobody could look around, or say that recovery shall go on.
            set("hot_standby", "on");
        }
    }
    settings
}

/// The settings of a standby that stay, as `pg_basebackup -R` leaves them too.
pub(super) fn of_standby(server: &Server, name: &str, version: PgVersion) -> Vec<Lasting> {
    let lasting = |name, value: String, why: &str| Lasting {
        setting: Setting::new(name, value),
        why: why.to_owned(),
    };
    vec![
        lasting(
            "primary_conninfo",
            conninfo(server, name, version),
            "the standby streams from the server that was backed up",
        ),
        lasting(
            "primary_slot_name",
            String::new(),
            "a slot of the server that was backed up is not for this standby",
        ),
    ]
}

/// The target as PostgreSQL has it: setting, value, and whether what is there is replayed.
fn target(position: &Position, reach: &Reach) -> Option<(&'static str, Vec<u8>, bool)> {
    let inclusive = position.inclusive;
    // The end of WAL is no target for PostgreSQL, but its last record is one.
    let last = || {
        reach
            .last
            .map(|last| ("recovery_target_lsn", last.to_string().into_bytes(), true))
    };
    match &position.target {
        Target::Immediate if reach.hit.is_some() => {
            Some(("recovery_target", b"immediate".to_vec(), true))
        }
        Target::Name(name) => Some(("recovery_target_name", name.clone(), true)),
        Target::Xid(xid) => Some((
            "recovery_target_xid",
            xid.to_string().into_bytes(),
            inclusive,
        )),
        Target::Time(time) => Some(("recovery_target_time", time.utc().into_bytes(), inclusive)),
        Target::Lsn(lsn) if reach.hit.is_some() => Some((
            "recovery_target_lsn",
            lsn.to_string().into_bytes(),
            inclusive,
        )),
        Target::Lsn(_) | Target::Immediate => last(),
        Target::Current if position.action == Action::Promote => None,
        Target::Current if position.goes_on() => None,
        Target::Current => last(),
    }
}

/// A standby without a target goes with its primary to new timelines; all others stay on the way that was proven.
fn timeline(position: &Position, reach: &Reach, of_backup: Timeline) -> String {
    let way = reach.history.timeline();
    if position.goes_on() && !position.stays() {
        "latest".to_owned()
    } else if way == of_backup && reach.history.switches().is_empty() {
        // Its history file is not needed then.
        "current".to_owned()
    } else {
        way.to_string()
    }
}

/// What to know before a standby is started.
pub(super) fn warnings_of_standby(server: &Server, version: PgVersion) -> Vec<String> {
    let mut warnings = vec![format!(
        "primary_conninfo has no password: if {} asks for one, it is looked for in the .pgpass file of the user that runs \
         the standby",
        server.name
    )];
    let files = tls_pairs(server, version)
        .into_iter()
        .filter(|(key, _)| *key != "sslmode");
    let files: Vec<String> = files.map(|(_, path)| path).collect();
    if !files.is_empty() {
        let files = files.join(", ");
        warnings.push(format!(
            "primary_conninfo names files of this machine, which the user that runs the standby must be able to read: \
             {files}"
        ));
    }
    warnings
}

/// How a standby connects to the server that was backed up: as we do, but without a password, which belongs into the
/// password file of the user that runs it.
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

/// How libpq protects a connection as ours are protected. Where we do without TLS, it may still use it if the server has
/// it, as is its default.
fn tls_pairs(server: &Server, version: PgVersion) -> Vec<(&'static str, String)> {
    let Host::Tcp(host) = &server.host else {
        return Vec::new();
    };
    let authority = server.tls_files.authority.as_ref();
    let (mode, authority) = match server.tls {
        TlsMode::Off => return Vec::new(),
        // With a file of authorities, libpq would verify the certificate.
        TlsMode::On => ("require", None),
        // Addresses in certificates libpq knows from PostgreSQL 15 on.
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

/// A value as PostgreSQL's configuration files have it (`GUC_scanstr`, PostgreSQL `guc-file.l`).
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
}
