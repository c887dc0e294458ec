//! What a server says of itself.

use super::Connection;
use super::wire::protocol;
use crate::error::{Failure, Kind, Result};
use crate::unit::{PgVersion, SegmentSize};

/// What a server says of itself over SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its version.
    pub version: PgVersion,
    /// The identity of the cluster.
    pub system_identifier: u64,
    /// The size of WAL segments.
    pub segment_size: SegmentSize,
    /// `wal_level`.
    pub wal_level: String,
    /// The size of pages, in bytes.
    pub block_size: u32,
    /// The size at which a relation goes on in another file, in bytes.
    pub relation_segment_size: u64,
    /// Whether data checksums are on.
    pub checksums: bool,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// Its clock, microseconds since 1970 UTC.
    pub now_micros: i64,
}

/// One statement, so that it costs one round trip; any role may run it. `pg_settings` gives sizes in base units:
/// bytes, and blocks for `segment_size`.
const QUESTION: &str = "\
SELECT c.system_identifier,
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_segment_size'),
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_level'),
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'block_size'),
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'segment_size'),
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_checksums'),
       pg_catalog.pg_is_in_recovery(),
       (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint
  FROM pg_catalog.pg_control_system() c";

impl Facts {
    /// Asks; a Sql connection. An unfit server (too old, `wal_level = minimal`) is a failure with a hint.
    pub fn read(connection: &mut Connection) -> Result<Facts> {
        let version = connection.version();
        fit_version(version)?;
        let doing = |failure: Failure| failure.context("ask the server for its facts");
        let rows = connection.query(QUESTION).map_err(doing)?;
        let row = rows
            .first()
            .ok_or_else(|| doing(protocol("the answer is empty")))?;
        let read = || -> Result<Facts> {
            let block_size: u32 = row.parse(3)?;
            let blocks: u64 = row.parse(4)?;
            Ok(Facts {
                version,
                system_identifier: row.parse(0)?,
                segment_size: SegmentSize::new(row.parse(1)?)?,
                wal_level: row.text(2)?.to_owned(),
                block_size,
                relation_segment_size: blocks.saturating_mul(u64::from(block_size)),
                // From PostgreSQL 19 on also inprogress-on and inprogress-off: not every page has one.
                checksums: row.text(5)? == "on",
                in_recovery: row.boolean(6)?,
                now_micros: row.parse(7)?,
            })
        };
        let facts = read().map_err(doing)?;
        fit_level(&facts.wal_level)?;
        Ok(facts)
    }
}

fn fit_version(version: PgVersion) -> Result<()> {
    if version >= PgVersion::OLDEST {
        return Ok(());
    }
    let message = format!("the server is PostgreSQL {version}, which is too old");
    Err(Failure::new(Kind::Configuration, message).hint("PostgreSQL 13 is the oldest that works"))
}

fn fit_level(level: &str) -> Result<()> {
    if level != "minimal" {
        return Ok(());
    }
    let message = "the server's wal_level is minimal, which no backup can be recovered from";
    Err(Failure::new(Kind::Configuration, message)
        .hint("set wal_level = replica on the server and restart it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfit_servers_are_refused_with_a_hint() {
        let old = PgVersion::parse("12.22").unwrap();
        assert!(fit_version(old).unwrap_err().advice().is_some());
        assert!(fit_version(PgVersion::parse("13.0").unwrap()).is_ok());
        assert!(fit_version(PgVersion::parse("19devel").unwrap()).is_ok());
        let failure = fit_level("minimal").unwrap_err();
        assert!(failure.advice().unwrap().contains("wal_level = replica"));
        assert!(fit_level("replica").is_ok() && fit_level("logical").is_ok());
    }
}
