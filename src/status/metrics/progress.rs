//! The progress of the operation that began last on a server.

use super::row::Read::ServerEach;
use super::row::{Metric, Samples, gauge};
use super::snapshot::ServerSnapshot;
use super::value::Value;
use crate::status::Activity;
use crate::status::progress::Snapshot;

#[rustfmt::skip] // One row per line.
pub(super) static METRICS: &[Metric] = &[
    gauge("pgmoneta_progress_percentage", "How much of the operation is done, 0 to 100; Unknown and 0 if none is running", ServerEach(|server, samples| add(server, samples, |progress| u32::from(progress.percentage()).into()))).with(&["workflow", "phase"]),
    gauge("pgmoneta_progress_elapsed_time", "Seconds since the operation began; Unknown and 0 if none is running", ServerEach(|server, samples| add(server, samples, |progress| progress.elapsed.into()))).with(&["workflow", "phase"]),
    gauge("pgmoneta_progress_total", "Bytes of the operation, possibly an estimate; 0 if not known; Unknown and 0 if none is running", ServerEach(|server, samples| add(server, samples, |progress| progress.total.into()))).with(&["workflow", "phase"]),
    gauge("pgmoneta_progress_done", "Bytes that are done; Unknown and 0 if no operation is running", ServerEach(|server, samples| add(server, samples, |progress| progress.done.into()))).with(&["workflow", "phase"]),
];

fn add(server: &ServerSnapshot, samples: &mut Samples<'_>, read: fn(Snapshot) -> Value) {
    match server.running.last() {
        None => samples.add(&["Unknown", "Unknown"], 0_u32),
        Some((activity, progress)) => samples.add(&labels(*activity), read(*progress)),
    }
}

/// Workflow and phase.
fn labels(activity: Activity) -> [&'static str; 2] {
    match activity {
        Activity::Backup => ["Backup", "Base backup"],
        Activity::Restore => ["Restore", "Restore backup"],
        Activity::Verify => ["Verify", "Verify backup"],
        Activity::Delete => ["Delete backup", "Delete backup"],
        Activity::Retention => ["Retention", "Delete backup"],
        Activity::Archive => ["Archive", "Restore backup"],
    }
}
