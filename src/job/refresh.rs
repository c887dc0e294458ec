//! Refreshes the state of a server and of its archive on SIGHUP: both may change without notice.

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::job::wal;
use crate::pg::{Mode, ServerInfo};

/// Looks for gaps in the archive of `server`, and queries the version, the data checksums and the
/// recovery state of the server. A system identifier other than that of the archive is
/// [`ErrorKind::Configuration`].
pub fn run(context: &ServerContext) -> Result<()> {
    wal::check_gaps(context).context("look for gaps in the WAL archive")?;
    let mut connection = context.connect(Mode::Sql)?;
    let facts = ServerInfo::read(&mut connection)?;
    let repository = context.repository()?;
    let archived = repository.system()?.map(|system| system.system_identifier);
    if archived.is_some_and(|archived| archived != facts.system_identifier) {
        let message = "the server is not the cluster that the archive belongs to";
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    wal::report_server_info(context, &facts);
    Ok(())
}
