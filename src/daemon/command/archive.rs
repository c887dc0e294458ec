//! `archive`.

use super::catalogue::backup_members;
use super::restore::{options, plan};
use crate::error::{Error, ErrorKind, Result};
use crate::format::hex;
use crate::job;
use crate::job::context::ServerContext;
use crate::protocol::{ArchiveReply, List, RestoreRequest, ServerMembers};

/// Writes a backup to an archive.
pub(in crate::daemon) fn archive(
    context: &ServerContext,
    request: RestoreRequest,
) -> Result<ArchiveReply> {
    if !request.tablespaces.is_empty() {
        let message = "the tablespaces of an archive cannot be moved";
        return Err(Error::new(ErrorKind::Usage, message).with_hint(
            "they are beside the data directory in it: move them when it is extracted",
        ));
    }
    let done = job::restore::archive::run(context, &options(request)?)?;
    let (size, sha256) = match done.written {
        Some((size, sha256)) => (size, hex::encode(&sha256)),
        None => (0, String::new()),
    };
    let version = Some(done.backup.info.version);
    Ok(ArchiveReply {
        server: ServerMembers::new(context.server.name.as_str(), version),
        backup: backup_members(&done.backup),
        file_name: done.file.to_string_lossy().into_owned(),
        file_size: size,
        sha256,
        plan: Some(plan(&done.summary)),
        warnings: List(done.summary.warnings.clone()),
    })
}
