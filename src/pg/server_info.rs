//! Settings and state of a server, queried over SQL.

use super::Connection;
use super::wire::protocol_error;
use crate::error::{Error, ErrorKind, Result};
use crate::unit::{PgVersion, SegmentSize};

/// Settings and state of a server, queried over SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// From `server_version` at the login, or as it was seen last.
    pub version: PgVersion,
    /// The system identifier, from `pg_control`.
    pub system_identifier: u64,
    /// `wal_segment_size`, bytes.
    pub segment_size: SegmentSize,
    /// The setting `wal_level`.
    pub wal_level: String,
    /// The size of pages, in bytes.
    pub block_size: u32,
    /// Bytes after which a relation continues in the next file (`segment_size`).
    pub relation_segment_size: u64,
    /// Whether data checksums are on.
    pub checksums: bool,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// The server's `clock_timestamp()`, microseconds since 1970 UTC.
    pub now_micros: i64,
}

/// One statement, for one round trip; any role may run it. `pg_settings` gives sizes in base units:
/// bytes, and blocks for `segment_size`.
const QUERY: &str = "\
SELECT c.system_identifier,
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'),
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_level'),
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'block_size'),
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'segment_size'),
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_checksums'),
       pg_catalog.pg_is_in_recovery(),
       (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint
  FROM pg_catalog.pg_control_system() c";

impl ServerInfo {
    /// Queries the server over a Sql connection. An unsupported server (too old, `wal_level =
    /// minimal`) is an error with a hint.
    pub fn read(connection: &mut Connection) -> Result<ServerInfo> {
        let version = connection.version();
        check_version(version)?;
        let action = |failure: Error| failure.context("query the server settings");
        let rows = connection.query(QUERY).map_err(action)?;
        let row = rows
            .first()
            .ok_or_else(|| action(protocol_error("the answer is empty")))?;
        let read = || -> Result<ServerInfo> {
            let block_size: u32 = row.parse(3)?;
            let blocks: u64 = row.parse(4)?;
            Ok(ServerInfo {
                version,
                system_identifier: row.parse(0)?,
                segment_size: SegmentSize::new(row.parse(1)?)?,
                wal_level: row.text(2)?.to_owned(),
                block_size,
                relation_segment_size: blocks.saturating_mul(u64::from(block_size)),
                // From PostgreSQL 19 on also inprogress-on and inprogress-off: not every page has a
                // checksum.
                checksums: row.text(5)? == "on",
                in_recovery: row.boolean(6)?,
                now_micros: row.parse(7)?,
            })
        };
        let info = read().map_err(action)?;
        check_wal_level(&info.wal_level)?;
        Ok(info)
    }
}

fn check_version(version: PgVersion) -> Result<()> {
    if version >= PgVersion::OLDEST {
        return Ok(());
    }
    let message = format!("the server is PostgreSQL {version}, which is too old");
    Err(Error::new(ErrorKind::Configuration, message)
        .with_hint("PostgreSQL 13 is the oldest that works"))
}

fn check_wal_level(level: &str) -> Result<()> {
    if level != "minimal" {
        return Ok(());
    }
    let message = "the server's wal_level is minimal, which no backup can be recovered from";
    Err(Error::new(ErrorKind::Configuration, message)
        .with_hint("set wal_level = replica on the server and restart it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_servers_are_rejected_with_a_hint() {
        let old = PgVersion::parse("12.22").unwrap();
        assert!(check_version(old).unwrap_err().hint().is_some());
        assert!(check_version(PgVersion::parse("13.0").unwrap()).is_ok());
        assert!(check_version(PgVersion::parse("19devel").unwrap()).is_ok());
        let failure = check_wal_level("minimal").unwrap_err();
        assert!(failure.hint().unwrap().contains("wal_level = replica"));
        assert!(check_wal_level("replica").is_ok() && check_wal_level("logical").is_ok());
    }
}
