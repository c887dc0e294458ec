//! WAL: what is received, archived and sealed.

use super::row::Read::{Server, ServerEach};
use super::row::{Metric, Samples, counter, gauge, histogram};
use super::snapshot::ServerSnapshot;
use crate::storage::PARTIAL_SUFFIX;
use crate::unit::{Lsn, Segment};

#[rustfmt::skip] // One row per line.
pub(super) static METRICS: &[Metric] = &[
    gauge("pgmoneta_wal_streaming", "Whether WAL is received from the server", Server(|server| Some(server.receiver.is_streaming().into()))),
    gauge("pgmoneta_current_wal_file", "The WAL file that is received; 1 while WAL is received", ServerEach(current_file)).with(&["file"]),
    gauge("pgmoneta_current_wal_lsn", "The end of the received WAL; 1 while WAL is received", ServerEach(current_lsn)).with(&["lsn"]),
    gauge("pgmoneta_wal_received_lsn_bytes", "The end of the received WAL as a number", Server(|server| position(server.receiver.received))),
    gauge("pgmoneta_wal_flushed_lsn_bytes", "The end of the WAL that is durable here as a number", Server(|server| position(server.receiver.flushed))),
    gauge("pgmoneta_wal_server_lsn_bytes", "The end of the WAL of the server, by its last message, as a number", Server(|server| position(server.receiver.server_end))),
    gauge("pgmoneta_wal_lag_bytes", "WAL of the server that is not on disk here yet, by its last message", Server(|server| server.receiver.lag().map(Into::into))),
    counter("pgmoneta_wal_received_bytes_total", "Bytes of WAL that were received, with those that were received again", Server(|server| Some(server.meters.wal_received.into()))),
    gauge("pgmoneta_wal_rate_bytes_per_second", "Bytes of WAL of the server per second in the last hour; 0 if not known yet", Server(|server| Some(server.wal_rate.into()))),
    histogram("pgmoneta_wal_flush_seconds", "How long the syncs of received WAL to the disk took", |server| &server.meters.wal_flush),
    gauge("pgmoneta_wal_segments", "Segments in the WAL archive", Server(|server| server.inventory.wal.measured_at.map(|_| server.inventory.wal.segments.into()))),
    gauge("pgmoneta_wal_unsealed_segments", "Complete WAL segments that are not compressed and encrypted yet", Server(|server| Some(server.receiver.unsealed.into()))),
    counter("pgmoneta_wal_sealed_segments_total", "WAL segments that were compressed and encrypted", Server(|server| Some(server.receiver.sealed.into()))),
    gauge("pgmoneta_slot_retained_bytes", "Bytes of WAL that the server keeps for the replication slot", Server(|server| retained(server).map(Into::into))),
    gauge("pgmoneta_slot_safe_bytes", "Bytes of WAL that the server can write until the slot may be lost; no value without a limit", Server(|server| server.observation.slot.as_ref()?.safe_bytes.map(Into::into))),
    gauge("pgmoneta_slot_active", "Whether the replication slot is in use; no value if it does not exist", Server(|server| Some(server.observation.slot.as_ref()?.active.into()))),
    gauge("pgmoneta_slot_status", "The state of the replication slot: 1 for the one that it has", ServerEach(slot_status)).with(&["status"]),
];

fn position(lsn: Lsn) -> Option<super::value::Value> {
    (lsn > Lsn::ZERO).then_some(lsn.0.into())
}

/// The end of the received WAL, or of what was archived before.
fn end(server: &ServerSnapshot) -> Lsn {
    server.receiver.received.max(server.receiver.flushed)
}

fn current_file(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    let receiver = &server.receiver;
    let known = receiver.timeline.zip(receiver.segment_size);
    let name = known.map(|(timeline, size)| {
        let segment = Segment::containing(timeline, end(server), size);
        segment.name(size) + PARTIAL_SUFFIX
    });
    samples.add(&[&name.unwrap_or_default()], receiver.is_streaming());
}

fn current_lsn(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    samples.add(&[&end(server).to_string()], server.receiver.is_streaming());
}

fn retained(server: &ServerSnapshot) -> Option<u64> {
    let slot = server.observation.slot.as_ref()?;
    Some(server.observation.wal_end.since(slot.restart_lsn?))
}

/// The values of `wal_status` of `pg_replication_slots`, and two more.
const SLOT_STATES: [&str; 6] = [
    "reserved",
    "extended",
    "unreserved",
    "lost",
    "unused",
    "missing",
];

fn slot_status(server: &ServerSnapshot, samples: &mut Samples<'_>) {
    if server.observation.observed_at.is_none() {
        return;
    }
    let found = match &server.observation.slot {
        None => "missing",
        Some(slot) if slot.wal_status.is_empty() => "unused",
        Some(slot) => slot.wal_status.as_str(),
    };
    for state in SLOT_STATES {
        samples.add(&[state], state == found);
    }
}
