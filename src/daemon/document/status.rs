//! The documents of `status` and `status details`.

use std::time::Instant;

use super::catalogue::list_element;
use crate::job::status::{Outcome, ServerStatus};
use crate::protocol::{Fields, Value};
use crate::status::{Activity, Phase, ReceiverState};
use crate::unit::{Lsn, Timeline};

/// The response to `status`.
pub(in crate::daemon) fn status(outcome: &Outcome) -> Fields {
    let servers = outcome.servers.iter();
    document(
        outcome,
        servers.map(|status| server(status).into()).collect(),
    )
}

/// The response to `status details`.
pub(in crate::daemon) fn status_details(outcome: &Outcome) -> Fields {
    let servers = outcome.servers.iter();
    let servers = servers.map(|status| {
        let backups = status.catalogue.entries.iter();
        let backups: Vec<Value> = backups.map(|entry| list_element(entry).into()).collect();
        let fields = server(status).with("Backups", backups).with("Fips", false);
        fields.into()
    });
    document(outcome, servers.collect()).with("PgmonetaFips", false)
}

fn document(outcome: &Outcome, servers: Vec<Value>) -> Fields {
    Fields::new()
        .with("FreeSpace", outcome.space.free)
        .with("TotalSpace", outcome.space.total)
        .with("UsedSpace", outcome.used)
        .with("NumberOfServers", servers.len())
        .with("Servers", servers)
        .with("Workers", outcome.workers)
}

/// One server. MajorVersion, MinorVersion, ActiveVerify, Healthy, Problems, RetentionInForce and
/// the members that begin with Wal, except WalStreaming, are not in the C program.
fn server(status: &ServerStatus) -> Fields {
    let (server, retention) = (&status.server, &status.server.retention);
    let unset = |number: Option<u32>| number.map_or(-1, i64::from);
    Fields::for_server(server.name.as_str(), status.catalogue.version)
        .with("ActiveArchive", false)
        .with("ActiveBackup", status.is_running(Activity::Backup))
        .with("ActiveDelete", false)
        .with("ActiveRestore", status.is_running(Activity::Restore))
        .with("ActiveRetention", false)
        .with("ActiveVerify", status.is_running(Activity::Verify))
        .with("Checksums", status.receiver.checksums == Some(true))
        .with("HotStandbySize", 0)
        .with("NumberOfBackups", status.catalogue.entries.len())
        .with("Online", status.receiver.is_streaming())
        .with("Primary", status.receiver.in_recovery == Some(false))
        .with("RetentionDays", unset(retention.days))
        .with("RetentionMonths", unset(retention.months))
        .with("RetentionWeeks", unset(retention.weeks))
        .with("RetentionYears", unset(retention.years))
        .with("RetentionInForce", false)
        .with("ServerSize", status.catalogue.size)
        .with("Workers", server.workers)
        .with("Healthy", status.problems.is_empty())
        .with("Problems", status.problems.clone())
        .with("WorkspaceFreeSpace", 0)
        .and(receiver(&status.receiver))
}

fn receiver(receiver: &ReceiverState) -> Fields {
    let (phase, message) = match &receiver.phase {
        Phase::Starting => ("starting", ""),
        Phase::Streaming => ("streaming", ""),
        Phase::Reconnecting(why) => ("reconnecting", why.as_str()),
        Phase::Alarm(why) => ("alarm", why.as_str()),
        Phase::Stopped => ("stopped", ""),
    };
    let seconds = receiver
        .last_message_at
        .map(|at| Instant::now().duration_since(at).as_secs());
    let known = |lsn: Lsn| Some(lsn.to_string()).filter(|_| lsn != Lsn::ZERO);
    Fields::new()
        .with("WalStreaming", receiver.is_streaming())
        .with("WalPhase", phase)
        .with("WalMessage", message)
        .with("WalTimeline", receiver.timeline.map(Timeline::number))
        .with("WalFlushed", known(receiver.flushed))
        .with("WalReceived", known(receiver.received))
        .with("WalServerEnd", known(receiver.server_end))
        .with("WalLag", receiver.lag())
        .with("WalHeard", seconds)
        .with("WalGaps", receiver.gaps.clone())
        .with("WalUnsealed", receiver.unsealed)
        .with("WalSealing", receiver.seal_error.as_deref())
}
