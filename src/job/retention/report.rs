//! What retention logs: what it removed, and problems when they are new, and then once a day.

use super::pass::{BackupOutcome, Removal};
use super::policy::Decision;
use super::wal::WalOutcome;
use crate::error::Error;
use crate::job::context::ServerContext;

/// The topic of an error that ended a run.
pub(super) const RUN: &str = "retention";

/// Logs what became of the backups.
pub(super) fn report(context: &ServerContext, backups: &[BackupOutcome]) {
    let name = &context.server.name;
    if let Some(reason) = backups.iter().find_map(BackupOutcome::clock_problem) {
        let text = format!("{reason}; hint: see whether the clock is right");
        if is_news(context, "clock", &text) {
            log::warn!("server {name}: retention: {text}");
        }
    }
    for backup in backups {
        let label = &backup.label;
        match (&backup.removal, &backup.decision) {
            (Removal::Removed, Decision::Expire(reason)) => {
                log::info!("server {name}: removed the backup {label}: {reason}");
            }
            (Removal::Postponed(why), _) => {
                log::debug!("server {name}: the backup {label} is removed later: {why}");
            }
            (Removal::Failed(why), _) if is_news(context, label.as_str(), why) => {
                log::error!("server {name}: the backup {label} cannot be removed: {why}");
            }
            _ => {}
        }
    }
}

/// Logs what became of the WAL.
pub(super) fn report_wal(context: &ServerContext, wal: &WalOutcome) {
    let name = &context.server.name;
    if wal.files > 0 {
        let files = wal.files;
        log::info!("server {name}: removed {files} files of WAL that no backup needs");
    }
    if let Some(why) = &wal.postponed {
        log::debug!("server {name}: WAL is not removed: {why}");
    }
    if let Some(text) = wal.unknown_timelines()
        && is_news(context, "timelines", &text)
    {
        log::warn!("server {name}: {text}");
    }
}

/// Logs the error that ended a run.
pub(super) fn report_failure(context: &ServerContext, failure: &Error) {
    let (name, why) = (&context.server.name, failure.message_with_hint());
    if is_news(context, RUN, &why) {
        log::error!("server {name}: retention: {why}");
    }
}

fn is_news(context: &ServerContext, topic: &str, text: &str) -> bool {
    context.status.retention().is_news(topic, text)
}
