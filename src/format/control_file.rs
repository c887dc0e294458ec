//! `global/pg_control`: the fields that restore needs.

use super::Parameters;

/// `PG_CONTROL_VERSION` of PostgreSQL 13 to 16, 17, and 18.
const VERSIONS: [u32; 3] = [1300, 1700, 1800];

/// The offset of `wal_level` in these versions, and of the limits, which follow `wal_log_hints` and
/// its padding.
const WAL_LEVEL: usize = 172;
const LIMITS: usize = 180;

/// The largest plausible limit: `MAX_BACKENDS` is lower (PostgreSQL 13 to 18 `postmaster.h`).
const MAX_LIMIT: i32 = 1 << 30;

/// The control file of a cluster (`ControlFileData`, PostgreSQL 13 to 18 `catalog/pg_control.h`).
/// Its checksum is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlFile {
    /// The system identifier of the cluster.
    pub system_identifier: u64,
    /// The settings that the cluster last ran with; on a standby, those of its primary.
    pub parameters: Parameters,
}

impl ControlFile {
    /// Its path in the data directory.
    pub const PATH: &str = "global/pg_control";

    /// Parses a control file; `None` if its version is unknown.
    pub fn parse(content: &[u8]) -> Option<ControlFile> {
        let number = |at: usize| {
            let bytes = content.get(at..at + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let signed = |at: usize| i32::try_from(number(at)?).ok();
        number(8).filter(|version| VERSIONS.contains(version))?;
        let identifier = content.first_chunk::<8>()?;
        let limit = |index: usize| signed(LIMITS + 4 * index).filter(|limit| *limit <= MAX_LIMIT);
        Some(ControlFile {
            system_identifier: u64::from_le_bytes(*identifier),
            parameters: Parameters {
                wal_level: signed(WAL_LEVEL)?,
                limits: [limit(0)?, limit(1)?, limit(2)?, limit(3)?, limit(4)?],
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_not_parsed() {
        let mut content = vec![0; 8192];
        assert_eq!(ControlFile::parse(&content), None);
        content[8..12].copy_from_slice(&1800u32.to_le_bytes());
        content[180..184].copy_from_slice(&40u32.to_le_bytes());
        content[..8].copy_from_slice(&7u64.to_le_bytes());
        let control = ControlFile::parse(&content).unwrap();
        assert_eq!(control.system_identifier, 7);
        let parameters = control.parameters;
        assert_eq!(parameters.limits, [40, 0, 0, 0, 0]);
        assert_eq!(parameters.wal_level, 0);
        assert_eq!(ControlFile::parse(&content[..190]), None);
        content[183] = 0x80;
        assert_eq!(ControlFile::parse(&content), None);
    }
}
