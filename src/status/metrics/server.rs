//! A server: its settings and state, and the operations on it.

use super::row::Read::{Server, ServerEach};
use super::row::{Metric, Samples, counter, gauge, histogram};
use super::snapshot::ServerSnapshot;
use super::value::Value;
use crate::status::{Activity, EndedOperations};
use crate::unit::{Lsn, Timestamp};

#[rustfmt::skip] // One row per line.
pub(super) static METRICS: &[Metric] = &[
    gauge("pgmoneta_retention_server", "The retention of the server, by the unit; 0 without a rule", ServerEach(retention)).with(&["parameter"]),
    gauge("pgmoneta_server_workers", "How many threads work for the server", Server(|server| Some(server.config.threads().into()))),
    gauge("pgmoneta_server_online", "Whether WAL is received from the server", Server(|server| Some(server.receiver.is_streaming().into()))),
    gauge("pgmoneta_server_primary", "Whether the server is a primary; 0 if not known yet", Server(|server| Some((server.receiver.in_recovery == Some(false)).into()))),
    gauge("pgmoneta_server_valid", "Whether the settings of the server allow WAL streaming and backups; 0 if not known yet", Server(|server| Some((server.receiver.settings_fit == Some(true)).into()))),
    gauge("pgmoneta_server_checksums", "Whether the server has data checksums; 0 if not known yet", Server(|server| Some((server.receiver.checksums == Some(true)).into()))),
    gauge("pgmoneta_server_fips_mode", "Whether OpenSSL of the server is in FIPS mode; 0 if not known", Server(|server| Some((server.observation.fips == Some(true)).into()))),
    gauge("pgmoneta_server_summarize_wal", "Whether the server summarizes WAL; 0 if not known yet", Server(|server| Some(server.observation.summarizes_wal.into()))),
    counter("pgmoneta_server_timeline", "The timeline of the server; 1 if not known yet", Server(|server| Some(server.receiver.timeline.map_or(1, |timeline| timeline.number()).into()))),
    gauge("pgmoneta_server_parent_tli", "The parent of each timeline on the way to that of the server; 0 for the first one", ServerEach(parents)).with(&["tli"]),
    gauge("pgmoneta_server_timeline_switchpos", "Where each timeline on the way to that of the server begins; always 1", ServerEach(switches)).with(&["tli", "walpos"]),
    gauge("pgmoneta_server_extensions_detected", "How many extensions are installed in the database of the connection", Server(|server| Some(server.observation.extensions.len().into()))),
    gauge("pgmoneta_server_extension", "The installed extensions; 0 and none if there is none", ServerEach(extensions)).with(&["extension", "version", "comment"]),
    gauge("pgmoneta_extension_pgmoneta_ext", "Whether the extension pgmoneta_ext, which is not needed, is installed", ServerEach(pgmoneta_ext)).with(&["version"]),
    gauge("pgmoneta_server_operation_count", "Operations on the server that succeeded since the start", Server(|server| Some(total(server, |ended| ended.succeeded).into()))),
    gauge("pgmoneta_server_failed_operation_count", "Operations on the server that failed since the start", Server(|server| Some(total(server, |ended| ended.failed).into()))),
    gauge("pgmoneta_server_last_operation_time", "When the last operation succeeded, local time YYYYMMDDHHMMSS; 0 for none", Server(|server| Some(last(server, |ended| ended.last_success)))),
    gauge("pgmoneta_server_last_failed_operation_time", "When the last operation failed, local time YYYYMMDDHHMMSS; 0 for none", Server(|server| Some(last(server, |ended| ended.last_failure)))),
    gauge("pgmoneta_active_backup", "Whether a backup is running", Server(|server| Some(server.runs(Activity::Backup).into()))),
    gauge("pgmoneta_active_restore", "Whether a restore is running", Server(|server| Some(server.runs(Activity::Restore).into()))),
    gauge("pgmoneta_active_archive", "Whether an archive is being written", Server(|server| Some(server.runs(Activity::Archive).into()))),
    gauge("pgmoneta_active_delete", "Whether a backup is being deleted", Server(|server| Some(server.runs(Activity::Delete).into()))),
    gauge("pgmoneta_active_retention", "Whether retention is running", Server(|server| Some(server.runs(Activity::Retention).into()))),
    gauge("pgmoneta_active_verify", "Whether a verification is running", Server(|server| Some(server.runs(Activity::Verify).into()))),
    gauge("pgmoneta_server_info", "The server; always 1", ServerEach(info)).with(&["version", "host", "port", "slot"]),
    gauge("pgmoneta_server_observation_age_seconds", "Since when the server did not say anything about its settings and its slot", Server(|server| server.since(server.observation.observed_at).map(Value::from))),
    counter("pgmoneta_operations_total", "Operations that have ended, by type and outcome", ServerEach(operations)).with(&["operation", "outcome"]),
    gauge("pgmoneta_operation_last_timestamp_seconds", "When an operation ended the last time, by type and outcome, seconds since 1970 UTC", ServerEach(last_operations)).with(&["operation", "outcome"]),
    histogram("pgmoneta_backup_duration_seconds", "How long the backups took that succeeded since the start", |server| &server.meters.backup_duration),
];

fn retention(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    let kept = server.config.retention;
    let units = [
        ("days", kept.days),
        ("weeks", kept.weeks),
        ("months", kept.months),
        ("years", kept.years),
    ];
    for (unit, count) in units {
        samples.add(&[unit], count.unwrap_or(0));
    }
}

/// Each timeline on the way to that of the server, with its parent, or 0, and where it begins.
fn timelines(server: &ServerSnapshot) -> Vec<(u32, u32, Lsn)> {
    let Some(history) = &server.inventory.history else {
        return vec![(1, 0, Lsn::ZERO)];
    };
    let mut before = 0;
    let mut found = Vec::new();
    for timeline in history.timelines() {
        let begin = history.begin_of(timeline).unwrap_or(Lsn::ZERO);
        found.push((timeline.number(), before, begin));
        before = timeline.number();
    }
    found
}

fn parents(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    for (timeline, parent, _) in timelines(server) {
        samples.add(&[&timeline.to_string()], parent);
    }
}

fn switches(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    for (timeline, _, begin) in timelines(server) {
        samples.add(&[&timeline.to_string(), &begin.to_string()], 1_u32);
    }
}

fn extensions(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    let found = &server.observation.extensions;
    if found.is_empty() {
        samples.add(&["none", "", ""], 0_u32);
    }
    for one in found {
        samples.add(&[&one.name, &one.version, &one.comment], 1_u32);
    }
}

fn pgmoneta_ext(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    let mut extensions = server.observation.extensions.iter();
    match extensions.find(|one| one.name == "pgmoneta_ext") {
        Some(found) => samples.add(&[&found.version], 1_u32),
        None => samples.add(&["not_installed"], 0_u32),
    }
}

fn total(server: &ServerSnapshot, count: fn(&EndedOperations) -> u64) -> u64 {
    server
        .ended
        .values()
        .map(count)
        .fold(0, u64::saturating_add)
}

fn last(server: &ServerSnapshot, time: fn(&EndedOperations) -> Option<Timestamp>) -> Value {
    let last = server.ended.values().filter_map(time).max();
    last.map_or(0, Timestamp::local_digits).into()
}

fn info(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    let version = server.receiver.version.map(|version| version.to_string());
    let (host, port) = (
        server.config.host.to_string(),
        server.config.port.to_string(),
    );
    let labels = [
        &version.unwrap_or_default(),
        &host,
        &port,
        &server.config.wal_slot,
    ];
    samples.add(&labels.map(String::as_str), 1_u32);
}

const OPERATIONS: [(&str, Activity); 6] = [
    ("backup", Activity::Backup),
    ("restore", Activity::Restore),
    ("archive", Activity::Archive),
    ("verify", Activity::Verify),
    ("delete", Activity::Delete),
    ("retention", Activity::Retention),
];

fn operations(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    for (word, activity) in OPERATIONS {
        let ended = server.ended(activity);
        samples.add(&[word, "succeeded"], ended.succeeded);
        samples.add(&[word, "failed"], ended.failed);
    }
}

fn last_operations(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    for (word, activity) in OPERATIONS {
        let ended = server.ended(activity);
        let last = [
            ("succeeded", ended.last_success),
            ("failed", ended.last_failure),
        ];
        for (outcome, time) in last {
            time.into_iter()
                .for_each(|time| samples.add(&[word, outcome], time));
        }
    }
}
