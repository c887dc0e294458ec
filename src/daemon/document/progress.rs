//! The document of `progress`.

use crate::job::context::ServerContext;
use crate::protocol::{ProgressReply, Seconds, ServerMembers};
use crate::status::Activity;
use crate::unit::PgVersion;

/// The response to `progress`: the newest operation of the type `command`, or of any type if it is
/// another word.
pub(in crate::daemon) fn progress(
    context: &ServerContext,
    version: Option<PgVersion>,
    command: &str,
) -> ProgressReply {
    let wanted = match command {
        "backup" => Some(Activity::Backup),
        "restore" => Some(Activity::Restore),
        "verify" => Some(Activity::Verify),
        _ => None,
    };
    let running = context.status.running().into_iter().rev();
    let found = running
        .filter(|(activity, _)| wanted.is_none_or(|wanted| wanted == *activity))
        .map(|(activity, progress)| (activity, progress.snapshot()))
        .next();
    let server = ServerMembers::new(context.server.name.as_str(), version);
    let Some((activity, snapshot)) = found else {
        return ProgressReply {
            server,
            remaining: Seconds::new(0),
            ..ProgressReply::default()
        };
    };
    ProgressReply {
        server,
        progress_state: 1,
        activity: Some(format!("{activity:?}").to_lowercase()),
        done: snapshot.done,
        total: snapshot.total,
        percentage: snapshot.percentage(),
        elapsed: snapshot.elapsed.as_secs(),
        remaining: Seconds::new(snapshot.remaining().unwrap_or_default().as_secs()),
    }
}
