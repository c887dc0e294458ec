//! `retain` and `expunge`.

use crate::error::Result;
use crate::job;
use crate::job::context::ServerContext;
use crate::job::retain::RetainOptions;
use crate::protocol::{RetainReply, RetainRequest, ServerMembers};

/// Excludes a backup from retention.
pub(in crate::daemon) fn retain(
    context: &ServerContext,
    request: &RetainRequest,
) -> Result<RetainReply> {
    run(context, request, true)
}

/// Includes a retained backup in retention again.
pub(in crate::daemon) fn expunge(
    context: &ServerContext,
    request: &RetainRequest,
) -> Result<RetainReply> {
    run(context, request, false)
}

fn run(context: &ServerContext, request: &RetainRequest, keep: bool) -> Result<RetainReply> {
    let options = RetainOptions {
        backup: request.backup.clone(),
        cascade: request.cascade,
        keep,
    };
    let outcome = job::retain::run(context, &options)?;
    let info = &outcome.backup.info;
    Ok(RetainReply {
        server: ServerMembers::new(context.server.name.as_str(), Some(info.version)),
        backups: outcome.labels.iter().map(ToString::to_string).collect(),
        cascade: request.cascade,
        comments: info.comments.clone(),
        keep: info.keep,
        valid: info.valid.into(),
    })
}
