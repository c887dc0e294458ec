//! `check`, also for the Nagios service.

use std::cmp::Reverse;

use crate::error::Result;
use crate::job;
use crate::job::context::{DaemonContext, ServerContext};
use crate::job::status::ServerStatus;
use crate::protocol::{
    CheckProblem, CheckReply, CheckRequest, CheckState, CheckedServer, PerformanceValue,
    ServerMembers,
};
use crate::status::safety::{LIMITS, LimitRow, Measure, Moment, Problem, Severity};
use crate::status::safety::{Thresholds, Worse, problems};
use crate::unit::{ByteSize, human_duration};

/// Checks these servers, with the thresholds of the request.
pub(in crate::daemon) fn check(
    daemon: &DaemonContext,
    servers: &[ServerContext],
    request: &CheckRequest,
) -> Result<CheckReply> {
    let thresholds = Thresholds::parse(&request.warning, &request.critical)?;
    let outcome = job::status::run(daemon, servers)?;
    let now = Moment::now();
    let servers = outcome.servers.iter();
    let mut servers: Vec<CheckedServer> = servers
        .map(|status| server(status, &thresholds, now))
        .collect();
    servers.sort_by_key(|server| Reverse((server.state, server.problems.len())));
    let worst = servers.first().map(|server| server.state);
    Ok(CheckReply {
        state: worst.unwrap_or_default(),
        servers: servers.into_iter().collect(),
    })
}

fn server(status: &ServerStatus, thresholds: &Thresholds, now: Moment) -> CheckedServer {
    let found = problems(&status.facts, thresholds, now);
    let worst = found.iter().map(|problem| problem.severity).max();
    CheckedServer {
        server: ServerMembers::new(status.server.name.as_str(), status.catalogue.version),
        state: worst.map_or(CheckState::Ok, state),
        summary: summary(status, now),
        problems: found.into_iter().map(problem).collect(),
        performance: performance(status, thresholds, now),
    }
}

fn state(severity: Severity) -> CheckState {
    match severity {
        Severity::Warning => CheckState::Warning,
        Severity::Critical => CheckState::Critical,
    }
}

fn problem(problem: Problem) -> CheckProblem {
    CheckProblem {
        state: state(problem.severity),
        problem: problem.text,
        action: problem.action,
    }
}

/// `WAL is received, 0.00B would be lost, 3 backups, the newest 2 h old, 1.00GB free`
fn summary(status: &ServerStatus, now: Moment) -> String {
    let facts = &status.facts;
    let mut words = vec![match facts.receiver.is_streaming() {
        true => "WAL is received".to_owned(),
        false => "no WAL is received".to_owned(),
    }];
    let lost = facts.measured(Measure::Rpo, now);
    words.extend(lost.map(|bytes| format!("{} would be lost", ByteSize(bytes))));
    words.push(match facts.backups {
        0 => "no backup".to_owned(),
        1 => "one backup".to_owned(),
        count => format!("{count} backups"),
    });
    let age = facts.measured(Measure::BackupAge, now);
    words.extend(age.map(|age| format!("the newest {} old", human_duration(age))));
    if facts.room.total > 0 {
        words.push(format!("{} free", ByteSize(facts.room.free)));
    }
    words.join(", ")
}

fn performance<T: FromIterator<PerformanceValue>>(
    status: &ServerStatus,
    thresholds: &Thresholds,
    now: Moment,
) -> T {
    let facts = &status.facts;
    let measured = LIMITS.iter().map(|row| PerformanceValue {
        label: row.key.replace('-', "_"),
        value: facts.measured(row.measure, now),
        unit: row.unit.to_owned(),
        warning: range(row, thresholds.warning.get(row.measure)),
        critical: range(row, thresholds.critical.get(row.measure)),
        maximum: None,
    });
    let count = |label: &str, count: usize, none_critical: bool| PerformanceValue {
        label: label.to_owned(),
        value: u64::try_from(count).ok(),
        // 0 only.
        critical: if none_critical { "0" } else { "" }.to_owned(),
        ..PerformanceValue::default()
    };
    let total = facts.room.total;
    let room = PerformanceValue {
        label: "disk_free".to_owned(),
        value: (total > 0).then_some(facts.room.free),
        unit: "B".to_owned(),
        maximum: (total > 0).then_some(total),
        ..PerformanceValue::default()
    };
    let counts = [
        count("backups", facts.backups, false),
        count("damaged_backups", facts.damaged_backups.len(), true),
        count("findings", facts.findings.len(), true),
        count("wal_gaps", facts.receiver.gaps.len(), true),
    ];
    measured.chain(counts).chain([room]).collect()
}

/// The range of values within a limit.
fn range(row: &LimitRow, limit: Option<u64>) -> String {
    match (limit, row.worse) {
        (None, _) => String::new(),
        (Some(limit), Worse::Above) => limit.to_string(),
        (Some(limit), Worse::Below) => format!("{limit}:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::CHECK;

    #[test]
    fn the_help_has_the_thresholds_of_the_table() {
        let value = |row: &LimitRow, limit: Option<u64>| match (limit, row.unit) {
            (None, _) => "off".to_owned(),
            (Some(bytes), "B") if bytes >= 1 << 30 => format!("{}GB", bytes >> 30),
            (Some(bytes), "B") => format!("{}MB", bytes >> 20),
            (Some(seconds), _) if seconds > 2 * 86_400 && seconds % 86_400 == 0 => {
                format!("{}d", seconds / 86_400)
            }
            (Some(86_400), _) => "1d".to_owned(),
            (Some(seconds), _) if seconds >= 3600 => format!("{}h", seconds / 3600),
            (Some(seconds), _) => format!("{}m", seconds / 60),
        };
        for row in &LIMITS {
            let (warning, critical) = (value(row, row.warning), value(row, row.critical));
            let line = format!("  {:<18} {warning:<8} {critical:<9}", row.key);
            assert!(CHECK.details.contains(&line), "{line:?} is not in the help");
        }
    }
}
