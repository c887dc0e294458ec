//! `delete`.

use crate::error::Result;
use crate::job;
use crate::job::context::ServerContext;
use crate::protocol::{DeleteReply, DeleteRequest, ServerMembers};

/// Removes a backup.
pub(in crate::daemon) fn delete(
    context: &ServerContext,
    request: &DeleteRequest,
) -> Result<DeleteReply> {
    let label = job::delete::run(context, &request.backup, request.force)?;
    let version = job::catalogue::version(context)?;
    Ok(DeleteReply {
        server: ServerMembers::new(context.server.name.as_str(), version),
        backup: label.to_string(),
    })
}
