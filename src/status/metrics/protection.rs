//! What would be lost, what can be recovered, and how long that would take.

use super::row::Read::{Server, ServerEach};
use super::row::{Metric, Samples, counter, gauge};
use super::snapshot::ServerSnapshot;
use super::value::Value;
use crate::status::Activity;
use crate::unit::Timestamp;

/// The bytes of WAL that PostgreSQL is expected to replay in a second, which is not measured.
const REPLAY_RATE: f64 = 33_554_432.0;

#[rustfmt::skip] // One row per line.
pub(super) static METRICS: &[Metric] = &[
    gauge("pgmoneta_rpo_bytes", "WAL of the server that is not durable here and would be lost with it; no value if that is not known", Server(|server| rpo_bytes(server).map(Value::from))),
    gauge("pgmoneta_rpo_seconds", "How old the state of the server is that would be left if it was lost now; 0 while all of its WAL is durable here and it answers", Server(rpo_seconds)),
    gauge("pgmoneta_wal_gap", "Whether WAL is missing between the oldest backup and the end", Server(|server| Some((!server.receiver.gaps.is_empty()).into()))),
    gauge("pgmoneta_wal_damaged", "How many damaged places the last verification found in the archived WAL", Server(|server| server.verification.damaged_wal.map(Into::into))),
    gauge("pgmoneta_backup_age_seconds", "How long ago the newest valid backup ended; no value without one", Server(|server| server.inventory.newest_valid()?.taken_at.map(|at| server.seconds_since(at).into()))),
    gauge("pgmoneta_restorable_from_seconds", "The oldest point in time to which recovery is proven to be possible, seconds since 1970 UTC; no value if none is", Server(|server| server.inventory.restorable.map(|(from, _)| from.into()))),
    gauge("pgmoneta_restorable_to_seconds", "The newest point in time to which recovery is proven to be possible, seconds since 1970 UTC; no value if none is", Server(|server| server.inventory.restorable.map(|(_, to)| to.into()))),
    gauge("pgmoneta_last_verified_seconds", "When each backup, and all of the archived WAL, was verified at last, seconds since 1970 UTC; 0 if one was not yet", ServerEach(last_verified)).with(&["object"]),
    counter("pgmoneta_verified_backups_total", "Backups that were verified by the schedule", Server(|server| Some(server.verification.backups.into()))),
    counter("pgmoneta_verification_bad_files_total", "Files of backups that a verification by the schedule found missing or damaged", Server(|server| Some(server.verification.bad_files.into()))),
    gauge("pgmoneta_rto_estimate_seconds", "How long the restore of the newest valid backup and the recovery to now would take, if PostgreSQL replays 32 MiB of WAL in a second; no value without a backup", Server(|server| rto(server).map(Into::into))),
    gauge("pgmoneta_rto_restore_bytes", "Bytes of that backup", Server(|server| Some(server.inventory.newest_valid()?.plain_bytes.into()))),
    gauge("pgmoneta_rto_restore_bytes_per_second", "Bytes that are restored in a second: of the last restore, else as fast as that backup was taken", Server(|server| restore_rate(server).map(Into::into))),
    gauge("pgmoneta_rto_wal_bytes", "Bytes of WAL to replay after that backup", Server(|server| wal_to_replay(server).map(Into::into))),
];

fn rpo_bytes(server: &ServerSnapshot) -> Option<u64> {
    server.receiver.at_risk(server.observation.wal_end)
}

fn rpo_seconds(server: &ServerSnapshot) -> Option<Value> {
    if let Some(exposure) = server.receiver.exposure(server.now.0) {
        return Some(exposure.into());
    }
    // Since the start of the daemon the WAL was never complete: what is left is at least as new as
    // the WAL that was written last.
    let written = server.inventory.wal.written_at?;
    Some(server.seconds_since(written).into())
}

fn last_verified(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    let inventory = &server.inventory;
    if inventory.collected_at.is_none() {
        return;
    }
    let never = Timestamp(0);
    samples.add(&["backups"], inventory.backups_verified.unwrap_or(never));
    samples.add(&["wal"], inventory.wal_verified.unwrap_or(never));
}

fn wal_to_replay(server: &ServerSnapshot) -> Option<u64> {
    let backup = server.inventory.newest_valid()?;
    Some(server.receiver.flushed.since(backup.start.lsn))
}

/// Bytes per second.
fn restore_rate(server: &ServerSnapshot) -> Option<f64> {
    let restored = server.ended(Activity::Restore).last_work;
    let restored = restored.map(|(bytes, time)| (bytes, time.as_secs_f64()));
    let backup = server.inventory.newest_valid();
    let taken = backup.map(|backup| (backup.plain_bytes, backup.elapsed));
    let measured = restored.into_iter().chain(taken);
    let mut rates = measured.filter(|(bytes, seconds)| *bytes > 0 && *seconds > 0.0);
    rates.next().map(|(bytes, seconds)| number(bytes) / seconds)
}

fn rto(server: &ServerSnapshot) -> Option<f64> {
    let bytes = server.inventory.newest_valid()?.plain_bytes;
    let restore = number(bytes) / restore_rate(server)?;
    let seconds = restore + number(wal_to_replay(server)?) / REPLAY_RATE;
    Some(seconds.round())
}

/// As a floating-point number, with 53 bits of precision.
#[allow(clippy::cast_precision_loss)]
fn number(bytes: u64) -> f64 {
    bytes as f64
}
