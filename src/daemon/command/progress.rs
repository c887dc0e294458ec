//! `progress`.

use crate::error::Result;
use crate::job;
use crate::job::context::ServerContext;
use crate::protocol::{ProgressReply, ProgressRequest, Seconds, ServerMembers};
use crate::status::Activity;

/// The progress of the newest operation of the type that the request names, or of any type if it is
/// another word.
pub(in crate::daemon) fn progress(
    context: &ServerContext,
    request: &ProgressRequest,
) -> Result<ProgressReply> {
    let wanted = match request.command.as_str() {
        "backup" => Some(Activity::Backup),
        "restore" => Some(Activity::Restore),
        "verify" => Some(Activity::Verify),
        "delete" => Some(Activity::Delete),
        "archive" => Some(Activity::Archive),
        _ => None,
    };
    let running = context.status.running().into_iter().rev();
    let found = running
        .filter(|(activity, _)| wanted.is_none_or(|wanted| wanted == *activity))
        .map(|(activity, progress)| (activity, progress.snapshot()))
        .next();
    let version = job::catalogue::version(context)?;
    let server = ServerMembers::new(context.server.name.as_str(), version);
    let Some((activity, snapshot)) = found else {
        return Ok(ProgressReply {
            server,
            remaining: Seconds::new(0),
            ..ProgressReply::default()
        });
    };
    Ok(ProgressReply {
        server,
        progress_state: 1,
        activity: Some(format!("{activity:?}").to_lowercase()),
        done: snapshot.done,
        total: snapshot.total,
        percentage: snapshot.percentage(),
        elapsed: snapshot.elapsed.as_secs(),
        remaining: Seconds::new(snapshot.remaining().unwrap_or_default().as_secs()),
    })
}
