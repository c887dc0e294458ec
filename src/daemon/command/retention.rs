//! `retention`.

use crate::error::Result;
use crate::job;
use crate::job::context::ServerContext;
use crate::job::retention::{BackupOutcome, Decision, Options, Removal};
use crate::protocol::{
    RetentionBackup, RetentionDecision, RetentionReply, RetentionRequest, ServerMembers,
};

/// Removes old backups, and WAL that none needs.
pub(in crate::daemon) fn retention(
    context: &ServerContext,
    request: &RetentionRequest,
) -> Result<RetentionReply> {
    let dry_run = request.dry_run;
    let outcome = job::retention::run(context, Options { dry_run })?;
    let version = job::catalogue::version(context)?;
    Ok(RetentionReply {
        server: ServerMembers::new(context.server.name.as_str(), version),
        dry_run,
        backups: outcome.backups.iter().map(backup).collect(),
        wal_files: outcome.wal.files,
        wal_kept: outcome.wal.reason(),
    })
}

fn backup(outcome: &BackupOutcome) -> RetentionBackup {
    let reason = match &outcome.decision {
        Decision::Keep(reason) => reason.to_string(),
        Decision::Expire(reason) => reason.to_string(),
    };
    let (decision, problem) = match &outcome.removal {
        Removal::Kept => (RetentionDecision::Keep, None),
        Removal::Due => (RetentionDecision::Expire, None),
        Removal::Removed => (RetentionDecision::Removed, None),
        Removal::Postponed(why) => (RetentionDecision::Later, Some(why)),
        Removal::Failed(why) => (RetentionDecision::Failed, Some(why)),
    };
    RetentionBackup {
        backup: outcome.label.to_string(),
        decision,
        reason,
        problem: problem.cloned(),
    }
}
