//! The output of `status` and `status details`.

use super::backups::table;
use super::layout::FieldList;
use super::values::size;
use crate::app::report::clean;
use crate::protocol::{ReceiverMembers, RestorableMembers, StatusReply, StatusServer};
use crate::unit::human_duration;

/// The disk space of the repository, and a section for each server.
pub(super) fn status(reply: &StatusReply) -> String {
    let mut out = format!(
        "Repository: {} used, {} free of {}{}{}\n",
        size(reply.used_space),
        size(reply.free_space),
        size(reply.total_space),
        reserved(reply),
        days_left(reply)
    );
    for server in reply.servers.iter() {
        out.push_str(&format!("\nServer {}\n", clean(&server.server.server)));
        out.push_str(&server_fields(server).text("  "));
        if let Some(backups) = server.backups.as_ref().filter(|list| !list.is_empty()) {
            out.push_str(&table(backups.iter()).text("  "));
        }
    }
    out
}

fn reserved(reply: &StatusReply) -> String {
    let reserve = reply.reserve_space.filter(|reserve| *reserve > 0);
    reserve.map_or_else(String::new, |reserve| {
        format!(", {} reserved for WAL", size(reserve))
    })
}

fn days_left(reply: &StatusReply) -> String {
    match reply.days_until_full {
        None => String::new(),
        Some(0) => ", full in less than a day".to_owned(),
        Some(1) => ", full in about 1 day".to_owned(),
        Some(days) => format!(", full in about {days} days"),
    }
}

fn server_fields(server: &StatusServer) -> FieldList {
    let receiver = &server.receiver;
    let on_disk = receiver.wal_flushed.as_ref();
    let mut list = FieldList::new();
    list.add("PostgreSQL", postgresql(server));
    list.add("WAL", wal(server, receiver));
    list.add("Reason", receiver.wal_message.as_str());
    list.add("Missing", receiver.wal_gaps.join("\n"));
    list.add(
        "On disk",
        on_disk.map_or_else(String::new, |lsn| format!("WAL up to {lsn}")),
    );
    list.add("Restorable", restorable(&server.restorable));
    list.add("Plain WAL", plain_wal(receiver));
    list.add("Running", running(server));
    let (count, stored) = (server.number_of_backups, size(server.server_size));
    list.add("Backups", format!("{count}, {stored} stored with WAL"));
    list.add("Retention", retention(server));
    list
}

/// `17.10, primary, checksums on`
fn postgresql(server: &StatusServer) -> String {
    let mut words: Vec<String> = Vec::new();
    words.extend(server.server.version().map(|version| version.to_string()));
    if server.online {
        let (primary, checksums) = (server.primary, server.checksums);
        words.push(if primary { "primary" } else { "standby" }.to_owned());
        words.push(format!(
            "checksums {}",
            if checksums { "on" } else { "off" }
        ));
    }
    words.join(", ")
}

/// `streaming, timeline 1, 0.00B behind, last message 2 s ago`
fn wal(server: &StatusServer, receiver: &ReceiverMembers) -> String {
    let phase = receiver.wal_phase.as_str();
    let online = receiver.wal_streaming.unwrap_or(server.online);
    let mut words = vec![match phase {
        "" if online => "streaming".to_owned(),
        "" => "not streaming".to_owned(),
        "alarm" => "ALARM, not streaming".to_owned(),
        phase => phase.to_owned(),
    }];
    words.extend(
        receiver
            .wal_timeline
            .map(|timeline| format!("timeline {timeline}")),
    );
    match receiver.wal_lag {
        Some(lag) if online => words.push(format!("{} behind", size(lag))),
        // The server may have written WAL since its last message.
        Some(lag) => words.push(format!("at least {} behind", size(lag))),
        // The daemon of the C program sends neither the phase nor the lag.
        None if !phase.is_empty() => words.push("lag unknown".to_owned()),
        None => {}
    }
    if let Some(seconds) = receiver.wal_heard {
        words.push(format!("last message {} ago", human_duration(seconds)));
    }
    words.join(", ")
}

/// `0/3000100 to 0/5000000 of timeline 1, all WAL read since 2026-11-26 09:20:11+00:00`, by the
/// last verification.
fn restorable(proven: &RestorableMembers) -> String {
    let (Some(from), Some(to)) = (&proven.restorable_from, &proven.restorable_to) else {
        return String::new();
    };
    let timeline = proven.restorable_timeline.unwrap_or_default();
    let since = proven.restorable_proven.as_deref().unwrap_or_default();
    format!("{from} to {to} of timeline {timeline}, all WAL read since {since}")
}

/// The complete segments that are not compressed and encrypted yet, if there are more than 4, or an
/// error.
fn plain_wal(receiver: &ReceiverMembers) -> String {
    let waiting = receiver.wal_unsealed;
    match &receiver.wal_sealing {
        Some(error) => format!("{waiting} segments not yet compressed and encrypted: {error}"),
        None if waiting > 4 => format!("{waiting} segments not yet compressed and encrypted"),
        None => String::new(),
    }
}

fn running(server: &StatusServer) -> String {
    let activities = [
        ("backup", server.active_backup),
        ("restore", server.active_restore),
        ("verify", server.active_verify),
        ("archive", server.active_archive),
        ("delete", server.active_delete),
        ("retention", server.active_retention),
    ];
    let running = activities.iter().filter(|(_, active)| *active);
    let running: Vec<&str> = running.map(|(name, _)| *name).collect();
    if running.is_empty() {
        return "nothing".to_owned();
    }
    running.join(", ")
}

fn retention(server: &StatusServer) -> String {
    let units = [
        ("day", server.retention_days),
        ("week", server.retention_weeks),
        ("month", server.retention_months),
        ("year", server.retention_years),
    ];
    let set = units.iter().filter_map(|(unit, count)| match count.0? {
        1 => Some(format!("1 {unit}")),
        count => Some(format!("{count} {unit}s")),
    });
    let set: Vec<String> = set.collect();
    if set.is_empty() {
        return "unlimited".to_owned();
    }
    let set = set.join(", ");
    match server.retention_in_force {
        Some(false) => format!("{set}, not applied in this version: no backup is removed"),
        _ => set,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_is_reserved_and_when_the_disk_will_be_full() {
        let line = |reserve_space, days_until_full| {
            let reply = StatusReply {
                free_space: 2 << 30,
                total_space: 8 << 30,
                used_space: 5 << 30,
                reserve_space,
                days_until_full,
                ..StatusReply::default()
            };
            status(&reply)
        };
        let begin = "Repository: 5.00GB used, 2.00GB free of 8.00GB";
        // The daemon of the C program says neither.
        assert_eq!(line(None, None), format!("{begin}\n"));
        assert_eq!(line(Some(0), None), format!("{begin}\n"));
        let begin = format!("{begin}, 1.00GB reserved for WAL");
        let reserve = Some(1 << 30);
        assert_eq!(line(reserve, None), format!("{begin}\n"));
        for (days, text) in [
            (0, "in less than a day"),
            (1, "in about 1 day"),
            (9, "in about 9 days"),
        ] {
            let expected = format!("{begin}, full {text}\n");
            assert_eq!(line(reserve, Some(days)), expected);
        }
    }
}
