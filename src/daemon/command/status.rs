//! `status`, `status details` and `ping`.

use std::time::Instant;

use super::super::dispatch::Services;
use super::catalogue::summary;
use crate::VERSION;
use crate::error::Result;
use crate::job;
use crate::job::scrub::Restorable;
use crate::job::status::{Outcome, ServerStatus};
use crate::protocol::{
    List, PingReply, ReceiverMembers, RestorableMembers, RetentionCount, ServerMembers,
    StatusReply, StatusServer,
};
use crate::status::safety::{Problem, Thresholds};
use crate::status::{Activity, Phase, ReceiverState};
use crate::unit::{Lsn, Timeline, Timestamp};

/// Shows that the daemon is running.
pub(in crate::daemon) fn ping() -> PingReply {
    PingReply {
        server_version: VERSION.to_owned(),
    }
}

/// Shows all servers.
pub(in crate::daemon) fn status(services: &Services) -> Result<StatusReply> {
    Ok(reply(&job::status::run(
        &services.daemon,
        &services.servers,
    )?))
}

fn reply(outcome: &Outcome) -> StatusReply {
    StatusReply {
        free_space: outcome.space.free,
        total_space: outcome.space.total,
        used_space: outcome.used,
        reserve_space: Some(outcome.reserve),
        days_until_full: outcome.days_left,
        number_of_servers: outcome.servers.len(),
        servers: outcome.servers.iter().map(server).collect(),
        workers: outcome.workers,
        pgmoneta_fips: None,
    }
}

/// Shows all servers and their backups.
pub(in crate::daemon) fn status_details(services: &Services) -> Result<StatusReply> {
    let outcome = job::status::run(&services.daemon, &services.servers)?;
    let servers = outcome.servers.iter().map(|status| StatusServer {
        backups: Some(status.catalogue.entries.iter().map(summary).collect()),
        fips: Some(false),
        ..server(status)
    });
    Ok(StatusReply {
        servers: servers.collect(),
        pgmoneta_fips: Some(false),
        ..reply(&outcome)
    })
}

fn server(status: &ServerStatus) -> StatusServer {
    let (server, retention) = (&status.server, &status.server.retention);
    let problems = status.problems(&Thresholds::of_status());
    StatusServer {
        server: ServerMembers::new(server.name.as_str(), status.catalogue.version),
        active_archive: status.is_running(Activity::Archive),
        active_backup: status.is_running(Activity::Backup),
        active_delete: status.is_running(Activity::Delete),
        active_restore: status.is_running(Activity::Restore),
        active_retention: status.is_running(Activity::Retention),
        active_verify: status.is_running(Activity::Verify),
        checksums: status.facts.receiver.checksums == Some(true),
        hot_standby_size: 0,
        number_of_backups: status.catalogue.entries.len(),
        online: status.facts.receiver.is_streaming(),
        primary: status.facts.receiver.in_recovery == Some(false),
        retention_days: RetentionCount(retention.days),
        retention_months: RetentionCount(retention.months),
        retention_weeks: RetentionCount(retention.weeks),
        retention_years: RetentionCount(retention.years),
        retention_in_force: Some(true),
        server_size: status.size,
        workers: server.workers,
        workspace_free_space: 0,
        healthy: Some(problems.is_empty()),
        problems: problems.iter().map(Problem::line).collect(),
        restorable: restorable(status.restorable.as_ref()),
        receiver: receiver(&status.facts.receiver),
        backups: None,
        fips: None,
    }
}

fn restorable(proven: Option<&Restorable>) -> RestorableMembers {
    RestorableMembers {
        restorable_from: proven.map(|proven| proven.from.to_string()),
        restorable_to: proven.map(|proven| proven.to.to_string()),
        restorable_timeline: proven.map(|proven| proven.timeline.number()),
        restorable_proven: proven
            .map(|proven| Timestamp::from_seconds(proven.proven).to_the_second()),
    }
}

fn receiver(receiver: &ReceiverState) -> ReceiverMembers {
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
    ReceiverMembers {
        wal_streaming: Some(receiver.is_streaming()),
        wal_phase: phase.to_owned(),
        wal_message: message.to_owned(),
        wal_timeline: receiver.timeline.map(Timeline::number),
        wal_flushed: known(receiver.flushed),
        wal_received: known(receiver.received),
        wal_server_end: known(receiver.server_end),
        wal_lag: receiver.lag(),
        wal_heard: seconds,
        wal_gaps: List(receiver.gaps.clone()),
        wal_unsealed: receiver.unsealed,
        wal_sealing: receiver.seal_error.clone(),
    }
}
