//! The databases and tablespaces of a cluster.

use super::Connection;
use super::query::RawRow;
use super::wire::protocol_error;
use crate::error::{Context, Result};

/// The OID of the tablespace `pg_default`, which is the directory `base` (PostgreSQL
/// pg_tablespace.dat).
pub const PG_DEFAULT: u32 = 1663;

/// The databases and tablespaces of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterObjects {
    /// All databases except those whose DROP DATABASE was interrupted.
    pub databases: Vec<Database>,
    /// All tablespaces except `pg_default` and `pg_global`.
    pub tablespaces: Vec<NamedTablespace>,
}

/// A row of `pg_database`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// The OID, which is the name of its directory.
    pub oid: u32,
    /// The OID of its default tablespace (`dattablespace`).
    pub tablespace: u32,
    /// The name as bytes: its encoding is that of the database in which it was created.
    pub name: Vec<u8>,
}

/// A row of `pg_tablespace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTablespace {
    /// Its OID.
    pub oid: u32,
    /// The name as bytes: its encoding is that of the database in which it was created.
    pub name: Vec<u8>,
}

/// Names come in UTF-8 if the server can convert them. -2 is DATCONNLIMIT_INVALID_DB (PostgreSQL
/// pg_database.h).
const QUERY: &str = "\
SELECT 'database', oid, datname, dattablespace FROM pg_catalog.pg_database WHERE datconnlimit <> -2
UNION ALL
SELECT 'tablespace', oid, spcname, oid FROM pg_catalog.pg_tablespace WHERE spcname NOT IN \
('pg_default', 'pg_global')
ORDER BY 1, 2";

/// With this client_encoding the server converts nothing (`pg_server_to_any`, PostgreSQL
/// mbutils.c).
const NO_CONVERSION: &str = "SET client_encoding TO 'SQL_ASCII'; ";

impl ClusterObjects {
    /// Queries the server over a Sql connection; any role may run it.
    pub fn read(connection: &mut Connection) -> Result<ClusterObjects> {
        const ACTION: &str = "ask the server for its databases and tablespaces";
        let rows = match connection.rows(QUERY) {
            // character_not_in_repertoire, untranslatable_character: a name of a database with
            // another encoding.
            Err(failure) if matches!(failure.code(), Some("22021" | "22P05")) => {
                connection.rows(&format!("{NO_CONVERSION}{QUERY}"))
            }
            rows => rows,
        };
        let rows = rows.context(ACTION)?;
        let mut objects = ClusterObjects::default();
        for row in rows {
            objects.add(row).context(ACTION)?;
        }
        Ok(objects)
    }

    /// The tablespace of an OID.
    pub fn tablespace(&self, oid: u32) -> Option<&NamedTablespace> {
        self.tablespaces.iter().find(|found| found.oid == oid)
    }

    fn add(&mut self, row: RawRow) -> Result<()> {
        let Ok([Some(kind), Some(oid), Some(name), Some(tablespace)]) = <[_; 4]>::try_from(row)
        else {
            return Err(protocol_error("a row does not have the expected columns"));
        };
        let number = |bytes: &[u8]| {
            let number = std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| text.parse().ok());
            number.ok_or_else(|| protocol_error("an OID is not a number"))
        };
        let (oid, tablespace) = (number(&oid)?, number(&tablespace)?);
        if kind == b"database" {
            self.databases.push(Database {
                oid,
                tablespace,
                name,
            });
        } else {
            self.tablespaces.push(NamedTablespace { oid, name });
        }
        Ok(())
    }
}
