//! `system.info`: the cluster of an archive, and the followed timeline.

use crate::error::{Error, ErrorKind, Result};
use crate::unit::{PgVersion, SegmentSize, Timeline};

/// The key of the followed timeline. Missing before WAL was streamed.
const TIMELINE: &str = "TIMELINE";

/// The cluster of an archive, as `KEY=value` lines in `system.info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemInfo {
    /// The system identifier from `initdb`.
    pub system_identifier: u64,
    /// The server version at the last connection.
    pub version: PgVersion,
    /// `wal_segment_size`, bytes.
    pub segment_size: SegmentSize,
}

impl SystemInfo {
    /// Parses the content of the file. Unknown keys are ignored: a later version may have written
    /// them.
    pub fn parse(content: &[u8]) -> Result<SystemInfo> {
        let text = text(content)?;
        let needed =
            |key: &str| value(text, key).ok_or_else(|| invalid(&format!("{key} is missing")));
        let number = |key: &str| -> Result<u64> {
            let text = needed(key)?;
            text.parse()
                .map_err(|_| invalid(&format!("{key} is {text:?}, not a number")))
        };
        Ok(SystemInfo {
            system_identifier: number("SYSTEM_IDENTIFIER")?,
            version: PgVersion::parse(needed("VERSION")?)
                .ok_or_else(|| invalid("VERSION is not a version"))?,
            segment_size: SegmentSize::new(number("WAL_SEGMENT_SIZE")?)?,
        })
    }

    /// The new content of the file; other lines of `before` are preserved.
    pub(super) fn render(&self, before: &[u8]) -> Result<String> {
        let identifier = self.system_identifier.to_string();
        let content = replace(text(before)?, "SYSTEM_IDENTIFIER", &identifier);
        let content = replace(&content, "VERSION", &self.version.to_string());
        let size = self.segment_size.bytes().to_string();
        Ok(replace(&content, "WAL_SEGMENT_SIZE", &size))
    }
}

/// The followed timeline in the content of the file.
pub(super) fn followed(content: &[u8]) -> Result<Option<Timeline>> {
    let Some(value) = value(text(content)?, TIMELINE) else {
        return Ok(None);
    };
    let timeline = value.parse();
    timeline
        .map(Some)
        .map_err(|_| invalid(&format!("{TIMELINE} is {value:?}, not a timeline")))
}

/// The content of the file with another followed timeline.
pub(super) fn follow(content: &[u8], timeline: Timeline) -> Result<String> {
    Ok(replace(text(content)?, TIMELINE, &timeline.to_string()))
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("system.info: {what}"))
}

fn text(content: &[u8]) -> Result<&str> {
    std::str::from_utf8(content).map_err(|_| invalid("it is not text"))
}

/// The key of a line.
fn key(line: &str) -> Option<&str> {
    line.split_once('=').map(|(key, _)| key.trim())
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines();
    let line = lines.find(|line| key(line) == Some(name))?;
    line.split_once('=').map(|(_, value)| value.trim())
}

/// The text with the value of one key set; other lines are unchanged.
fn replace(text: &str, name: &str, value: &str) -> String {
    let mut content = String::new();
    let mut found = false;
    for line in text.lines() {
        if key(line) == Some(name) {
            found = true;
            content.push_str(&format!("{name}={value}\n"));
        } else {
            content.push_str(&format!("{line}\n"));
        }
    }
    if !found {
        content.push_str(&format!("{name}={value}\n"));
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_round_trips() {
        let info = SystemInfo {
            system_identifier: u64::MAX,
            version: PgVersion {
                major: 17,
                minor: 10,
            },
            segment_size: SegmentSize::DEFAULT,
        };
        let text = info.render(b"").unwrap();
        assert_eq!(SystemInfo::parse(text.as_bytes()).unwrap(), info);
        assert_eq!(followed(text.as_bytes()).unwrap(), None);
        let later = format!("{text}NEW_KEY=1\n");
        assert_eq!(SystemInfo::parse(later.as_bytes()).unwrap(), info);
    }

    #[test]
    fn replacing_a_value_keeps_the_other_lines() {
        let timeline = |number| Timeline::new(number).unwrap();
        let before = "SYSTEM_IDENTIFIER=1\nVERSION=15.1\nNEW_KEY=1\nWAL_SEGMENT_SIZE=16777216\n";
        let text = follow(before.as_bytes(), timeline(2)).unwrap();
        assert_eq!(text, format!("{before}TIMELINE=2\n"));
        let text = follow(text.as_bytes(), timeline(11)).unwrap();
        assert_eq!(followed(text.as_bytes()).unwrap(), Some(timeline(11)));
        let mut info = SystemInfo::parse(text.as_bytes()).unwrap();
        info.version.minor = 2;
        let text = info.render(text.as_bytes()).unwrap();
        let expected = before.replace("15.1", "15.2");
        assert_eq!(text, format!("{expected}TIMELINE=11\n"));
        assert!(followed(b"TIMELINE=0\n").is_err() && followed(b"TIMELINE=\n").is_err());
    }

    #[test]
    fn malformed_files_are_rejected() {
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
