//! The recovery settings: what is written to `postgresql.auto.conf`, and which signal file goes with it.

use std::fmt::Write as _;

use super::position::{Action, Position, Role, Target};
use super::reach::Reach;
use crate::config::{Host, Server};
use crate::job::replay::TimelineChoice;
use crate::unit::{Label, Timeline};

const BEGIN: &str = "# Begin of what pgmoneta wrote for recovery";
const END: &str = "# End of what pgmoneta wrote for recovery";

/// Settings of other recoveries, which must not hold for this one. Ours stand behind them and win, but a setting that
/// is there twice confuses people.
const OF_RECOVERY: [&str; 16] = [
    "restore_command",
    "archive_cleanup_command",
    "recovery_end_command",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "recovery_min_apply_delay",
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
    "standby_mode",
];

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

/// The file that tells PostgreSQL at its start what to do.
pub(super) fn signal_file(role: Role) -> &'static str {
    match role {
        Role::Primary => "recovery.signal",
        Role::Replica => "standby.signal",
    }
}

/// The lines for `postgresql.auto.conf`, of a backup that ends on timeline `of_backup`.
pub(super) fn lines(
    server: &Server,
    name: &str,
    position: &Position,
    reach: &Reach,
    of_backup: Timeline,
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut set = |name: &str, value: &str| lines.push(format!("{name} = {}", quote(value)));
    for name in TARGETS {
        set(name, "");
    }
    set("archive_cleanup_command", "");
    set("recovery_end_command", "");
    set("recovery_min_apply_delay", "0");
    set("primary_slot_name", "");
    match position.role {
        Role::Primary => {
            // PostgreSQL demands a command. It fails for each file, and then the file is looked for in pg_wal.
            set("restore_command", "false");
            set("primary_conninfo", "");
        }
        Role::Replica => {
            set("restore_command", "");
            set("primary_conninfo", &conninfo(server, name));
        }
    }
    set(
        "recovery_target_timeline",
        &timeline(position, reach, of_backup),
    );
    if let Some((name, value, inclusive)) = target(position, reach) {
        set(name, &value);
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
    lines
}

/// The target as PostgreSQL has it: setting, value, and whether what is there is replayed.
fn target(position: &Position, reach: &Reach) -> Option<(&'static str, String, bool)> {
    let inclusive = position.inclusive;
    // The end of WAL is no target for PostgreSQL, but its last record is one.
    let last = || {
        reach
            .last
            .map(|last| ("recovery_target_lsn", last.to_string(), true))
    };
    match &position.target {
        Target::Immediate if reach.hit.is_some() => {
            Some(("recovery_target", "immediate".to_owned(), true))
        }
        Target::Name(name) => Some(("recovery_target_name", name.clone(), true)),
        Target::Xid(xid) => Some(("recovery_target_xid", xid.to_string(), inclusive)),
        Target::Time(time) => Some(("recovery_target_time", time.utc(), inclusive)),
        Target::Lsn(lsn) if reach.hit.is_some() => {
            Some(("recovery_target_lsn", lsn.to_string(), inclusive))
        }
        Target::Lsn(_) | Target::Immediate => last(),
        Target::Current if position.action == Action::Promote => None,
        Target::Current if position.role == Role::Replica => None,
        Target::Current => last(),
    }
}

/// A standby without a target goes with its primary to new timelines; all others stay on the way that was proven.
fn timeline(position: &Position, reach: &Reach, of_backup: Timeline) -> String {
    let goes_on = position.role == Role::Replica && position.target == Target::Current;
    let way = reach.history.timeline();
    let any = matches!(
        position.timeline,
        TimelineChoice::Followed | TimelineChoice::Latest
    );
    if goes_on && any {
        "latest".to_owned()
    } else if way == of_backup && reach.history.switches().is_empty() {
        // Its history file is not needed then.
        "current".to_owned()
    } else {
        way.to_string()
    }
}

/// How a standby connects to the server that was backed up: as we do, but without a password, which belongs into the
/// password file of the user that runs it.
fn conninfo(server: &Server, name: &str) -> String {
    let host = match &server.host {
        Host::Tcp(host) => host.clone(),
        Host::Unix(directory) => directory.to_string_lossy().into_owned(),
    };
    let pairs = [
        ("host", host),
        ("port", server.port.to_string()),
        ("user", server.user.clone()),
        ("application_name", name.to_owned()),
    ];
    let pairs = pairs.map(|(key, value)| {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        format!("{key}='{value}'")
    });
    pairs.join(" ")
}

/// A value as PostgreSQL's configuration files have it (`GUC_scanstr`, PostgreSQL `guc-file.l`).
fn quote(value: &str) -> String {
    let mut quoted = String::from("'");
    for c in value.chars() {
        match c {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// Puts our lines at the end of a `postgresql.auto.conf`, removes those of an earlier restore, and makes comments of
/// settings of other recoveries.
pub(super) fn edit(old: &[u8], label: &Label, position: &str, lines: &[String]) -> Vec<u8> {
    let mut new = Vec::with_capacity(old.len() + 1024);
    let mut ours = false;
    for line in old.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(BEGIN.as_bytes()) {
            ours = true;
        }
        if !ours {
            if OF_RECOVERY.contains(&setting(line).as_str()) {
                new.extend_from_slice(b"#");
            }
            new.extend_from_slice(line);
        }
        if line.starts_with(END.as_bytes()) {
            ours = false;
        }
    }
    if new.last().is_some_and(|&last| last != b'\n') {
        new.push(b'\n');
    }
    let mut text = format!(
        "{BEGIN}\n# Backup {label}, restored to {}\n",
        position.replace(['\n', '\r'], " ")
    );
    for line in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    }
    text.push_str(END);
    text.push('\n');
    new.extend_from_slice(text.as_bytes());
    new
}

/// The name of the setting that a line sets, in lower case; empty if it sets none.
fn setting(line: &[u8]) -> String {
    let line = line.trim_ascii_start();
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$".contains(byte);
    let name = line.iter().take_while(|byte| of_name(byte));
    name.map(|&byte| char::from(byte).to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_as_postgresql_reads_them() {
        assert_eq!(quote("it's \\ here\n"), r"'it''s \\ here\n'");
    }

    #[test]
    fn earlier_settings_are_put_out_of_force() {
        let old = b"# Do not edit this file manually!\nwork_mem = '4MB'\nRecovery_Target_Name='x'\n  primary_conninfo = 'password=y'\nrecovery_targets = 1";
        let label: Label = "20261122140300".parse().unwrap();
        let lines = vec!["recovery_target = 'immediate'".to_owned()];
        let once = edit(old, &label, "the end", &lines);
        let text = String::from_utf8(once.clone()).unwrap();
        assert_eq!(
            text,
            "# Do not edit this file manually!\nwork_mem = '4MB'\n#Recovery_Target_Name='x'\n#  primary_conninfo = \
             'password=y'\nrecovery_targets = 1\n# Begin of what pgmoneta wrote for recovery\n# Backup 20261122140300, \
             restored to the end\nrecovery_target = 'immediate'\n# End of what pgmoneta wrote for recovery\n"
        );
        assert_eq!(
            edit(&once, &label, "the end", &lines),
            once,
            "a second time changes nothing"
        );
        assert!(edit(b"", &label, "x", &lines).starts_with(BEGIN.as_bytes()));
    }
}
