//! `system.info`: the cluster that an archive belongs to.

use crate::error::{Failure, Kind, Result};
use crate::unit::{PgVersion, SegmentSize};

/// The cluster that an archive belongs to, as `KEY=value` lines in `system.info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemInfo {
    /// The identity that `initdb` gave it.
    pub system_identifier: u64,
    /// Its version when it was last seen.
    pub version: PgVersion,
    /// The size of its WAL segments.
    pub segment_size: SegmentSize,
}

impl SystemInfo {
    /// Reads the content of the file. Keys that are not known are left alone: a later version may have written them.
    pub fn parse(content: &[u8]) -> Result<SystemInfo> {
        let wrong = |what: &str| Failure::new(Kind::Corrupt, format!("system.info: {what}"));
        let text = std::str::from_utf8(content).map_err(|_| wrong("it is not text"))?;
        let value = |key: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once('='));
            let found = pairs.find(|(name, _)| name.trim() == key);
            found
                .map(|(_, value)| value.trim())
                .ok_or_else(|| wrong(&format!("{key} is missing")))
        };
        let number = |key: &str| -> Result<u64> {
            let text = value(key)?;
            text.parse()
                .map_err(|_| wrong(&format!("{key} is {text:?}, not a number")))
        };
        Ok(SystemInfo {
            system_identifier: number("SYSTEM_IDENTIFIER")?,
            version: PgVersion::parse(value("VERSION")?)
                .ok_or_else(|| wrong("VERSION is not a version"))?,
            segment_size: SegmentSize::new(number("WAL_SEGMENT_SIZE")?)?,
        })
    }

    /// The content of the file.
    pub fn render(&self) -> String {
        format!(
            "SYSTEM_IDENTIFIER={}\nVERSION={}\nWAL_SEGMENT_SIZE={}\n",
            self.system_identifier,
            self.version,
            self.segment_size.bytes()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let info = SystemInfo {
            system_identifier: u64::MAX,
            version: PgVersion {
                major: 17,
                minor: 10,
            },
            segment_size: SegmentSize::DEFAULT,
        };
        assert_eq!(SystemInfo::parse(info.render().as_bytes()).unwrap(), info);
        let later = format!("{}NEW_KEY=1\n", info.render());
        assert_eq!(SystemInfo::parse(later.as_bytes()).unwrap(), info);
    }

    #[test]
    fn refuses_damage() {
        for text in [
            "",
            "SYSTEM_IDENTIFIER=1",
            "SYSTEM_IDENTIFIER=x\nVERSION=15.1\nWAL_SEGMENT_SIZE=16777216",
            "SYSTEM_IDENTIFIER=1\nVERSION=\nWAL_SEGMENT_SIZE=16777216",
            "SYSTEM_IDENTIFIER=1\nVERSION=15.1\nWAL_SEGMENT_SIZE=1000",
        ] {
            assert!(SystemInfo::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(SystemInfo::parse(b"\xFF").is_err());
    }
}
