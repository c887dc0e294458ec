//! The table of metrics, and their text in the Prometheus exposition format 0.0.4.
//!
//! Each row reads a copy of the state of one server: no file is read, and no lock is held while the
//! text is made.

use super::{Activity, ReceiverState, ServerState, VerificationState};

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Goes up only; 0 after a restart.
    Counter,
}

/// A row of the table: a metric with one sample for each server, whose label is `name`.
pub struct Metric {
    /// The name, as Prometheus recommends: with the unit, and `_total` for a counter.
    pub name: &'static str,
    /// The help, one line.
    pub help: &'static str,
    /// The type.
    pub kind: Kind,
    /// The value; `None` if it is not known: then there is no sample.
    pub read: fn(&ServerSnapshot) -> Option<u64>,
}

/// The state of a server at one moment.
pub struct ServerSnapshot {
    receiver: ReceiverState,
    running: Vec<Activity>,
    verification: VerificationState,
}

/// The metrics of which the state of a server has the values.
#[rustfmt::skip]
pub static METRICS: &[Metric] = &[
    gauge("pgmoneta_server_online", "Whether WAL is received from the server", |server| flag(server.receiver.is_streaming())),
    gauge("pgmoneta_server_primary", "Whether the server is a primary", |server| flag(!server.receiver.in_recovery?)),
    gauge("pgmoneta_server_checksums", "Whether the server has data checksums", |server| flag(server.receiver.checksums?)),
    gauge("pgmoneta_wal_streaming", "Whether WAL is received from the server", |server| flag(server.receiver.is_streaming())),
    gauge("pgmoneta_wal_lag_bytes", "WAL of the server that is not on disk here yet", |server| server.receiver.lag()),
    gauge("pgmoneta_wal_gap", "Whether WAL is missing between the oldest backup and the end", |server| flag(!server.receiver.gaps.is_empty())),
    gauge("pgmoneta_wal_unsealed_segments", "Complete WAL segments that are not compressed and encrypted yet", |server| u64::try_from(server.receiver.unsealed).ok()),
    counter("pgmoneta_wal_sealed_segments_total", "WAL segments that were compressed and encrypted", |server| Some(server.receiver.sealed)),
    gauge("pgmoneta_wal_damaged", "How many damaged places the last verification found in the archived WAL", |server| u64::try_from(server.verification.damaged_wal?).ok()),
    counter("pgmoneta_verified_backups_total", "Backups that were verified by the schedule", |server| Some(server.verification.backups)),
    counter("pgmoneta_verification_bad_files_total", "Files of backups that a verification by the schedule found missing or damaged", |server| Some(server.verification.bad_files)),
    gauge("pgmoneta_active_backup", "Whether a backup is running", |server| server.runs(Activity::Backup)),
    gauge("pgmoneta_active_restore", "Whether a restore is running", |server| server.runs(Activity::Restore)),
    gauge("pgmoneta_active_archive", "Whether an archive is being written", |server| server.runs(Activity::Archive)),
    gauge("pgmoneta_active_delete", "Whether a backup is being deleted", |server| server.runs(Activity::Delete)),
];

const fn gauge(
    name: &'static str,
    help: &'static str,
    read: fn(&ServerSnapshot) -> Option<u64>,
) -> Metric {
    let kind = Kind::Gauge;
    Metric {
        name,
        help,
        kind,
        read,
    }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    read: fn(&ServerSnapshot) -> Option<u64>,
) -> Metric {
    let kind = Kind::Counter;
    Metric {
        name,
        help,
        kind,
        read,
    }
}

fn flag(set: bool) -> Option<u64> {
    Some(u64::from(set))
}

impl ServerSnapshot {
    fn of(server: &ServerState) -> ServerSnapshot {
        let running = server.running().into_iter();
        ServerSnapshot {
            receiver: server.receiver(),
            running: running.map(|(activity, _)| activity).collect(),
            verification: server.verification(),
        }
    }

    fn runs(&self, activity: Activity) -> Option<u64> {
        flag(self.running.contains(&activity))
    }
}

/// The metrics of all servers as text.
pub fn exposition<'a>(
    metrics: &[Metric],
    servers: impl IntoIterator<Item = &'a ServerState>,
) -> String {
    let servers = servers.into_iter();
    let servers: Vec<_> = servers
        .map(|server| {
            (
                label_value(server.name().as_str()),
                ServerSnapshot::of(server),
            )
        })
        .collect();
    let mut text = String::new();
    for metric in metrics {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let (name, help) = (metric.name, metric.help);
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (server, snapshot) in &servers {
            if let Some(value) = (metric.read)(snapshot) {
                text.push_str(&format!("{name}{{name=\"{server}\"}} {value}\n"));
            }
        }
    }
    text
}

/// Escapes the value of a label.
fn label_value(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::Lsn;

    /// A row is all that one more metric needs.
    #[test]
    fn every_row_is_in_the_text_once_for_each_server() {
        let servers = ["a", "b"].map(|name| ServerState::new(&name.parse().unwrap()));
        let [a, _] = &servers;
        a.update_receiver(|state| {
            (state.flushed, state.server_end) = (Lsn(0x100), Lsn(0x180));
        });
        let row = counter("pgmoneta_test_bytes_total", "Test", |server| {
            Some(server.receiver.flushed.0)
        });
        let text = exposition(&[row], servers.iter().map(AsRef::as_ref));
        assert_eq!(
            text,
            "# HELP pgmoneta_test_bytes_total Test\n# TYPE pgmoneta_test_bytes_total counter\n\
             pgmoneta_test_bytes_total{name=\"a\"} 256\npgmoneta_test_bytes_total{name=\"b\"} 0\n"
        );
        let text = exposition(METRICS, servers.iter().map(AsRef::as_ref));
        assert!(text.contains("\npgmoneta_wal_lag_bytes{name=\"a\"} 128\n"));
        assert!(
            !text.contains("pgmoneta_wal_lag_bytes{name=\"b\"}"),
            "unknown"
        );
        for metric in METRICS {
            assert_eq!(text.matches(&format!("# TYPE {} ", metric.name)).count(), 1);
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.kind == Kind::Counter, "{}", metric.name);
        }
    }

    #[test]
    fn values_of_labels_are_escaped() {
        assert_eq!(label_value("a\"\\\n"), "a\\\"\\\\\\n");
    }
}
