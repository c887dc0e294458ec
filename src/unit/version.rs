//! PostgreSQL versions.

use std::fmt;

/// The version of a PostgreSQL server, such as 17.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PgVersion {
    /// 13 or later.
    pub major: u32,
    /// The minor release; 0 for beta and development versions.
    pub minor: u32,
}

impl PgVersion {
    /// The oldest supported version, the first one with a backup manifest.
    pub const OLDEST: PgVersion = PgVersion {
        major: 13,
        minor: 0,
    };

    /// Parses `server_version`: `17.10`, `17.10 (Debian 17.10-1)`, `18beta1`, `19devel`.
    pub fn parse(text: &str) -> Option<PgVersion> {
        let number = |text: &str| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            text.get(..digits).and_then(|digits| digits.parse().ok())
        };
        let major = number(text)?;
        let minor = text
            .split_once('.')
            .and_then(|(_, rest)| number(rest))
            .unwrap_or(0);
        Some(PgVersion { major, minor })
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_server_version() {
        let rows = [
            ("17.10", 17, 10),
            ("15.18 (Debian 15.18-0+deb12u1)", 15, 18),
            ("18beta1", 18, 0),
            ("19devel", 19, 0),
        ];
        for (text, major, minor) in rows {
            assert_eq!(
                PgVersion::parse(text),
                Some(PgVersion { major, minor }),
                "{text}"
            );
        }
        assert_eq!(PgVersion::parse("devel"), None);
    }
}
