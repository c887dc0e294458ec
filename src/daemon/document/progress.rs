//! The document of `progress`.

use std::time::Duration;

use crate::job::context::ServerContext;
use crate::protocol::Fields;
use crate::status::{Activity, Snapshot};
use crate::unit::PgVersion;

/// The response to `progress`: the newest operation of the type `command`, or of any type if it is
/// another word. Activity is not in the C program.
pub(in crate::daemon) fn progress(
    context: &ServerContext,
    version: Option<PgVersion>,
    command: &str,
) -> Fields {
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
    let fields = Fields::for_server(context.server.name.as_str(), version);
    match found {
        None => fields
            .with("ProgressState", 0)
            .with("Done", 0)
            .with("Total", 0)
            .with("Percentage", 0)
            .with("Elapsed", 0)
            .with("Remaining", span(Duration::ZERO)),
        Some((activity, snapshot)) => fields
            .with("Activity", format!("{activity:?}").to_lowercase())
            .and(running_fields(snapshot)),
    }
}

fn running_fields(snapshot: Snapshot) -> Fields {
    Fields::new()
        .with("ProgressState", 1)
        .with("Done", snapshot.done)
        .with("Total", snapshot.total)
        .with("Percentage", snapshot.percentage())
        .with("Elapsed", snapshot.elapsed.as_secs())
        .with("Remaining", span(snapshot.remaining().unwrap_or_default()))
}

fn span(span: Duration) -> Fields {
    Fields::new()
        .with("value", span.as_secs())
        .with("string_value", format!("{}s", span.as_secs()))
}
