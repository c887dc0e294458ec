//! What monitoring shows of a server, queried over SQL.

use super::Connection;
use crate::error::{Context, Result};
use crate::unit::Lsn;

/// The end of WAL and a few settings of a server, and the extensions of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerState {
    /// The end of WAL: flushed, or on a standby received or replayed.
    pub wal_end: Lsn,
    /// Whether `summarize_wal` is on, which PostgreSQL 17 and later have.
    pub summarizes_wal: bool,
    /// Whether OpenSSL of the server is in FIPS mode; `None` if no extension can say it.
    pub fips: Option<bool>,
    /// Name, version and comment of each installed extension, sorted.
    pub extensions: Vec<[String; 3]>,
}

const SETTINGS: &str = "\
SELECT CASE WHEN pg_catalog.pg_is_in_recovery()
            THEN GREATEST(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
            ELSE pg_catalog.pg_current_wal_flush_lsn() END,
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'summarize_wal')";

const EXTENSIONS: &str = "\
SELECT extname, extversion, pg_catalog.obj_description(oid, 'pg_extension')
  FROM pg_catalog.pg_extension ORDER BY extname LIMIT 256";

/// The function that tells the FIPS mode: of pgcrypto from PostgreSQL 18 on, or of pgmoneta_ext.
/// One that is no part of the extension, or that another user than a superuser can replace, is not
/// called.
const FIPS_FUNCTION: &str = "\
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname)
  FROM pg_catalog.pg_extension e
  JOIN pg_catalog.pg_depend d
    ON d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.refobjid = e.oid
   AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.deptype = 'e'
  JOIN pg_catalog.pg_proc p ON p.oid = d.objid
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
 WHERE r.rolsuper AND p.pronargs = 0
   AND p.prorettype = 'pg_catalog.bool'::pg_catalog.regtype
   AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
   AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND (e.extname, p.proname) IN (('pgcrypto', 'fips_mode'), ('pgmoneta_ext', 'pgmoneta_ext_fips'))
 ORDER BY e.extname LIMIT 1";

impl ServerState {
    /// Queries the server over a Sql connection. Any role may do it.
    pub fn read(connection: &mut Connection) -> Result<ServerState> {
        let action = "query the state of the server";
        let rows = connection.query(SETTINGS).context(action)?;
        let mut state = ServerState::default();
        if let Some(row) = rows.first() {
            state.wal_end = row.parse_optional(0).context(action)?.unwrap_or(Lsn::ZERO);
            state.summarizes_wal = row.optional(1).context(action)? == Some("on");
        }
        for row in connection.query(EXTENSIONS).context(action)? {
            let text = |index| {
                row.optional(index)
                    .map(|text| text.unwrap_or("").to_owned())
            };
            let found = [text(0), text(1), text(2)];
            let [name, version, comment] = found.map(|text| text.context(action));
            state.extensions.push([name?, version?, comment?]);
        }
        state.fips = read_fips(connection).context(action)?;
        Ok(state)
    }
}

fn read_fips(connection: &mut Connection) -> Result<Option<bool>> {
    let found = connection.query(FIPS_FUNCTION)?;
    let Some(row) = found.first() else {
        return Ok(None);
    };
    let called = connection.query(&format!("SELECT {}()", row.text(0)?))?;
    called.first().map(|row| row.boolean(0)).transpose()
}
