//! The output of `status` and `status details`.

use super::backups::table;
use super::layout::{FieldList, human_duration};
use super::values::{flag, number, objects, size, text, texts, version};
use crate::app::report::clean;
use crate::error::{Error, ErrorKind};
use crate::protocol::{Members, Request, Response};
use crate::unit::ByteSize;

/// The disk space of the repository, and a section for each server.
pub(super) fn status(fields: &Members) -> String {
    let mut out = format!(
        "Repository: {} used, {} free of {}\n",
        size(fields, "UsedSpace"),
        size(fields, "FreeSpace"),
        size(fields, "TotalSpace")
    );
    for server in objects(fields, "Servers") {
        out.push_str(&format!("\nServer {}\n", clean(&text(server, "Server"))));
        out.push_str(&server_fields(server).text("  "));
        let backups = objects(server, "Backups");
        if !backups.is_empty() {
            out.push_str(&table(&backups).text("  "));
        }
    }
    out
}

fn server_fields(server: &Members) -> FieldList {
    let mut list = FieldList::new();
    list.add("PostgreSQL", postgresql(server));
    list.add("WAL", wal(server));
    list.add("Reason", text(server, "WalMessage"));
    list.add("Missing", texts(server, "WalGaps").join("\n"));
    list.add("On disk", on_disk(server));
    list.add("Plain WAL", plain_wal(server));
    list.add("Running", running(server));
    let count = number(server, "NumberOfBackups").unwrap_or(0);
    let size = number(server, "ServerSize").unwrap_or(0);
    list.add(
        "Backups",
        format!("{count}, {} stored with WAL", ByteSize(size)),
    );
    list.add("Retention", retention(server));
    list
}

/// `17.10, primary, checksums on`
fn postgresql(server: &Members) -> String {
    let version = version(server);
    let mut words: Vec<String> = Vec::new();
    words.extend(version.strip_prefix("PostgreSQL ").map(str::to_owned));
    if flag(server, "Online") == Some(true) {
        let primary = flag(server, "Primary") == Some(true);
        words.push(if primary { "primary" } else { "standby" }.to_owned());
        let checksums = flag(server, "Checksums") == Some(true);
        words.push(
            if checksums {
                "checksums on"
            } else {
                "checksums off"
            }
            .to_owned(),
        );
    }
    words.join(", ")
}

/// `streaming, timeline 1, 0.00B behind, last message 2 s ago`
fn wal(server: &Members) -> String {
    let phase = text(server, "WalPhase");
    let online = flag(server, "WalStreaming").or(flag(server, "Online")) == Some(true);
    let mut words = vec![match phase.as_str() {
        "" if online => "streaming".to_owned(),
        "" => "not streaming".to_owned(),
        "alarm" => "ALARM, not streaming".to_owned(),
        phase => phase.to_owned(),
    }];
    if let Some(timeline) = number(server, "WalTimeline") {
        words.push(format!("timeline {timeline}"));
    }
    match number(server, "WalLag") {
        Some(lag) if online => words.push(format!("{} behind", ByteSize(lag))),
        // The server may have written WAL since its last message.
        Some(lag) => words.push(format!("at least {} behind", ByteSize(lag))),
        None if server.contains_key("WalLag") => words.push("lag unknown".to_owned()),
        None => {}
    }
    if let Some(heard) = number(server, "WalHeard") {
        words.push(format!("last message {} ago", human_duration(heard)));
    }
    words.join(", ")
}

/// The error for servers that need attention: those with `Healthy: false`. `None` if there are
/// none, or if the daemon does not send that member, as the C program.
pub(in crate::app::cli) fn unhealthy_servers(
    request: &Request,
    response: &Response,
) -> Option<Error> {
    if !matches!(request, Request::Status | Request::StatusDetails) {
        return None;
    }
    let fields = response.fields();
    let unhealthy = objects(&fields, "Servers").into_iter();
    let unhealthy: Vec<String> = unhealthy
        .filter(|server| flag(server, "Healthy") == Some(false))
        .map(|server| {
            let problems = texts(server, "Problems").join("; ");
            clean(&format!("server {}: {problems}", text(server, "Server")))
        })
        .collect();
    (!unhealthy.is_empty()).then(|| Error::new(ErrorKind::Network, unhealthy.join("\n")))
}

fn on_disk(server: &Members) -> String {
    match text(server, "WalFlushed") {
        flushed if flushed.is_empty() => flushed,
        flushed => format!("WAL up to {flushed}"),
    }
}

/// The complete segments that are not compressed and encrypted yet, if there are more than 4, or an
/// error.
fn plain_wal(server: &Members) -> String {
    let waiting = number(server, "WalUnsealed").unwrap_or(0);
    match text(server, "WalSealing") {
        error if !error.is_empty() => {
            format!("{waiting} segments not yet compressed and encrypted: {error}")
        }
        _ if waiting > 4 => format!("{waiting} segments not yet compressed and encrypted"),
        _ => String::new(),
    }
}

fn running(server: &Members) -> String {
    let activities = [
        "Backup",
        "Restore",
        "Verify",
        "Archive",
        "Delete",
        "Retention",
    ];
    let running = activities
        .iter()
        .filter(|name| flag(server, &format!("Active{name}")) == Some(true));
    let running: Vec<String> = running.map(|name| name.to_lowercase()).collect();
    if running.is_empty() {
        "nothing".to_owned()
    } else {
        running.join(", ")
    }
}

fn retention(server: &Members) -> String {
    let units = ["Days", "Weeks", "Months", "Years"];
    let set = units.iter().filter_map(|unit| {
        let count = number(server, &format!("Retention{unit}"))?;
        let unit = unit.to_lowercase();
        Some(format!(
            "{count} {}",
            if count == 1 {
                unit.trim_end_matches('s')
            } else {
                &unit
            }
        ))
    });
    let set: Vec<String> = set.collect();
    if set.is_empty() {
        return "unlimited".to_owned();
    }
    let set = set.join(", ");
    match flag(server, "RetentionInForce") {
        Some(false) => format!("{set}, not applied in this version: no backup is removed"),
        _ => set,
    }
}
