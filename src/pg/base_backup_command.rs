//! The BASE_BACKUP command, and the result sets at the start of its answer.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::query::RawRow;
use super::wire::protocol_error;
use super::{Row, quote};
use crate::config::Checkpoint;
use crate::error::Result;
use crate::unit::{PgVersion, WalPosition};

/// The options of BASE_BACKUP.
#[derive(Clone, Debug)]
pub struct BaseBackupOptions {
    /// LABEL: any text without control characters.
    pub label: String,
    /// CHECKPOINT: fast or spread.
    pub checkpoint: Checkpoint,
    /// MAX_RATE, bytes a second; rounded up to kilobytes and clamped to PostgreSQL's bounds (32 kB
    /// to 1 GB).
    pub max_rate: Option<u64>,
}

/// A tablespace of a base backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tablespace {
    /// Its OID; `None` for the main data directory.
    pub oid: Option<u32>,
    /// Its location on the server, which need not be UTF-8; `None` for the main data directory.
    pub location: Option<PathBuf>,
    /// The server's estimate of its size, in bytes.
    pub size: Option<u64>,
}

/// The bounds of MAX_RATE, kilobytes a second (PostgreSQL basebackup.c, MAX_RATE_LOWER and
/// MAX_RATE_UPPER).
const MAX_RATE: std::ops::RangeInclusive<u64> = 32..=1_048_576;

/// The command, in the syntax of the version.
pub(super) fn command(version: PgVersion, options: &BaseBackupOptions) -> Result<String> {
    let label = quote::literal(&options.label)?;
    let rate = options.max_rate.map(|bytes| {
        let kilobytes = bytes.div_ceil(1024);
        kilobytes.clamp(*MAX_RATE.start(), *MAX_RATE.end())
    });
    Ok(if version.major >= 15 {
        let checkpoint = match options.checkpoint {
            Checkpoint::Fast => "fast",
            Checkpoint::Spread => "spread",
        };
        let rate = rate.map_or(String::new(), |rate| format!(", MAX_RATE {rate}"));
        format!(
            "BASE_BACKUP (LABEL {label}, PROGRESS true, CHECKPOINT '{checkpoint}', WAIT \
             false{rate}, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C')"
        )
    } else {
        let fast = match options.checkpoint {
            Checkpoint::Fast => " FAST",
            Checkpoint::Spread => "",
        };
        let rate = rate.map_or(String::new(), |rate| format!(" MAX_RATE {rate}"));
        format!(
            "BASE_BACKUP LABEL {label} PROGRESS{fast} NOWAIT{rate} MANIFEST 'yes' \
             MANIFEST_CHECKSUMS 'CRC32C'"
        )
    })
}

/// Reads the row with an LSN and its timeline.
pub(super) fn parse_position_row(rows: Vec<RawRow>) -> Result<WalPosition> {
    let row = rows.into_iter().next();
    let row =
        Row::decode(row.ok_or_else(|| protocol_error("the server's answer has no position"))?)?;
    Ok(WalPosition {
        timeline: row.parse(1)?,
        lsn: row.parse(0)?,
    })
}

/// Reads a row of the list of tablespaces: spcoid, spclocation, size in kilobytes.
pub(super) fn parse_tablespace(mut row: RawRow) -> Result<Tablespace> {
    let location = row.get_mut(1).map(std::mem::take);
    let location = location.ok_or_else(|| protocol_error("a tablespace without a location"))?;
    let row = Row::decode(row)?;
    let oid = match row.optional(0)? {
        Some(_) => Some(row.parse(0)?),
        None => None,
    };
    let size = match row.optional(2)? {
        Some(_) => Some(row.parse::<u64>(2)?.saturating_mul(1024)),
        None => None,
    };
    Ok(Tablespace {
        oid,
        location: location.map(|bytes| OsString::from_vec(bytes).into()),
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(max_rate: Option<u64>) -> BaseBackupOptions {
        BaseBackupOptions {
            label: "it's".to_owned(),
            checkpoint: Checkpoint::Fast,
            max_rate,
        }
    }

    #[test]
    fn max_rate_is_rounded_up_and_clamped() {
        let version = PgVersion::parse("14.1").unwrap();
        for (bytes, kilobytes) in [
            (1, 32),
            (32 << 10, 32),
            ((32 << 10) + 1, 33),
            (u64::MAX, 1_048_576),
        ] {
            let command = command(version, &options(Some(bytes))).unwrap();
            assert!(
                command.contains(&format!("MAX_RATE {kilobytes} ")),
                "{command}"
            );
        }
        let command = command(version, &options(None)).unwrap();
        assert!(
            !command.contains("MAX_RATE") && command.contains("'it''s'"),
            "{command}"
        );
    }
}
