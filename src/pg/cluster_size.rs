//! The size of a cluster.

use super::Connection;
use super::wire::protocol_error;
use crate::error::{Context, Result};

/// The sum of all databases, and how many of them the role may not measure. -2 is
/// DATCONNLIMIT_INVALID_DB (PostgreSQL pg_database.h); who may call `pg_database_size` is in
/// dbsize.c.
const QUERY: &str = "\
SELECT coalesce(sum(CASE WHEN allowed THEN pg_catalog.pg_database_size(oid) END), 0)::bigint,
       count(*) FILTER (WHERE NOT allowed)
  FROM (SELECT oid, pg_catalog.has_database_privilege(oid, 'CONNECT')
                    OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS allowed
          FROM pg_catalog.pg_database WHERE datconnlimit <> -2) AS databases";

/// Queries the bytes of all databases over a Sql connection, which takes the server as long as it
/// needs to look at every file; `None` if the role may not measure all of them.
pub fn cluster_size(connection: &mut Connection) -> Result<Option<u64>> {
    const ACTION: &str = "ask the server for the size of its databases";
    let rows = connection.query(QUERY).context(ACTION)?;
    let row = rows
        .first()
        .ok_or_else(|| protocol_error("the answer is empty").context(ACTION))?;
    let refused: u64 = row.parse(1).context(ACTION)?;
    let size = row.parse(0).context(ACTION)?;
    Ok(Some(size).filter(|_| refused == 0))
}
