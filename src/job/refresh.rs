//! Reads again what is known of a server and of its archive, on request: both may have changed without a sign.

use crate::config::Server;
use crate::error::{Context as _, Failure, Kind, Result};
use crate::job::context::Context;
use crate::job::wal;
use crate::pg::{Connection, Facts, Mode};

/// Looks for gaps in the archive of `server`, and asks the server for its version, its checksums and whether it is in
/// recovery. A server that is another cluster than the one the archive belongs to is [`Kind::Configuration`].
pub fn run(context: &Context, server: &Server) -> Result<()> {
    wal::look_for_gaps(context, server).context("look for gaps in the WAL archive")?;
    let mut connection = Connection::open(&context.login(server), Mode::Sql, &context.stop)?;
    let facts = Facts::read(&mut connection)?;
    let repository = context.repository(&server.name)?;
    let bound = repository.system()?.map(|system| system.system_identifier);
    if bound.is_some_and(|bound| bound != facts.system_identifier) {
        let message = "the server is another cluster than the one that the archive belongs to";
        return Err(Failure::new(Kind::Configuration, message));
    }
    wal::note_facts(context, server, &facts);
    Ok(())
}
