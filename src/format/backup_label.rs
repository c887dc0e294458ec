//! `backup_label`: where recovery from a base backup begins (`build_backup_content`, PostgreSQL
//! `xlogbackup.c`).

use crate::error::{Error, ErrorKind, Result};
use crate::unit::{Lsn, Timeline, WalPosition};

/// The contents of `backup_label`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupLabel {
    /// The start of WAL replay (`START WAL LOCATION`).
    pub start: Lsn,
    /// The timeline of `start`, from the segment name.
    pub timeline: Timeline,
    /// The start of the checkpoint record (`CHECKPOINT LOCATION`).
    pub checkpoint: Lsn,
    /// Whether the backup was taken from a standby (`BACKUP FROM`).
    pub from_standby: bool,
    /// Where the backup starts that an incremental one adds to (`INCREMENTAL FROM LSN`).
    pub incremental_from: Option<WalPosition>,
}

impl BackupLabel {
    /// Its name in the data directory.
    pub const FILE_NAME: &str = "backup_label";

    /// Parses the file as PostgreSQL does (`read_backup_label`, PostgreSQL 18 `xlogrecovery.c`):
    /// the two positions are required, the first with its segment name, which has the timeline.
    pub fn parse(bytes: &[u8]) -> Result<BackupLabel> {
        let text = String::from_utf8_lossy(bytes);
        let line = |key: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        };
        let needed = |key: &str| line(key).ok_or_else(|| invalid(&format!("it has no {key:?}")));
        let position = |text: &str| -> Result<Lsn> {
            let parsed = text.parse();
            parsed.map_err(|_| invalid(&format!("{text:?} is not a WAL position")))
        };
        // "0/2000028 (file 000000010000000000000002)"
        let start = needed("START WAL LOCATION")?;
        let (start, file) = start.split_once(" (file ").unwrap_or((start, ""));
        let timeline = timeline_of(file)
            .ok_or_else(|| invalid(&format!("{file:?} is not a WAL segment name")))?;
        if let Some(found) = line("START TIMELINE")
            && found.parse::<Timeline>().ok() != Some(timeline)
        {
            let what = format!("its timeline is {found:?}, and that of its segment {timeline}");
            return Err(invalid(&what));
        }
        Ok(BackupLabel {
            start: position(start)?,
            timeline,
            checkpoint: position(needed("CHECKPOINT LOCATION")?)?,
            from_standby: line("BACKUP FROM") == Some("standby"),
            incremental_from: match (line(FROM_LSN), line(FROM_TIMELINE)) {
                (Some(lsn), Some(timeline)) => Some(WalPosition {
                    timeline: timeline
                        .parse()
                        .map_err(|_| invalid(&format!("{timeline:?} is not a timeline")))?,
                    lsn: position(lsn)?,
                }),
                _ => None,
            },
        })
    }
}

/// The lines of an incremental backup.
const FROM_LSN: &str = "INCREMENTAL FROM LSN";
const FROM_TIMELINE: &str = "INCREMENTAL FROM TLI";

/// The file without the lines of an incremental backup: PostgreSQL does not start with them.
pub fn without_increment(label: &[u8]) -> Vec<u8> {
    let lines = label.split_inclusive(|byte| *byte == b'\n');
    let kept = lines.filter(|line| {
        !line.starts_with(FROM_LSN.as_bytes()) && !line.starts_with(FROM_TIMELINE.as_bytes())
    });
    kept.flatten().copied().collect()
}

/// The timeline in a segment name: the first eight hexadecimal digits.
fn timeline_of(file: &str) -> Option<Timeline> {
    let digits = file.get(..8)?;
    Timeline::new(u32::from_str_radix(digits, 16).ok()?)
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("backup_label: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &str = "START WAL LOCATION: 0/2000028 (file 000000030000000000000002)\n\
        CHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n\
        START TIME: 2026-11-22 14:00:00 UTC\nLABEL: pgmoneta_20261122140000\nSTART TIMELINE: 3\n";

    #[test]
    fn a_file_of_postgresql_is_parsed() {
        let label = BackupLabel::parse(LABEL.as_bytes()).unwrap();
        assert_eq!(label.start, Lsn(0x200_0028));
        assert_eq!(label.checkpoint, Lsn(0x200_0060));
        assert_eq!(label.timeline.number(), 3);
        assert!(!label.from_standby);
        let standby = LABEL.replace("FROM: primary", "FROM: standby");
        assert!(BackupLabel::parse(standby.as_bytes()).unwrap().from_standby);
    }

    #[test]
    fn an_incremental_backup_says_where_it_adds_to() {
        let label = BackupLabel::parse(LABEL.as_bytes()).unwrap();
        assert_eq!(label.incremental_from, None);
        let text = format!("{LABEL}INCREMENTAL FROM LSN: 0/1000028\nINCREMENTAL FROM TLI: 2\n");
        let label = BackupLabel::parse(text.as_bytes()).unwrap();
        let from = Timeline::new(2).unwrap().at(Lsn(0x100_0028));
        assert_eq!(label.incremental_from, Some(from));
        assert_eq!(without_increment(text.as_bytes()), LABEL.as_bytes());
        assert!(BackupLabel::parse(text.replace("TLI: 2", "TLI: x").as_bytes()).is_err());
    }

    #[test]
    fn optional_lines_may_be_missing() {
        for key in ["START TIMELINE", "BACKUP FROM", "BACKUP METHOD", "LABEL"] {
            let label = BackupLabel::parse(LABEL.replace(key, "X").as_bytes()).unwrap();
            assert_eq!(label.timeline.number(), 3, "{key}");
        }
    }

    #[test]
    fn a_missing_required_line_is_named_in_the_error() {
        for key in ["START WAL LOCATION", "CHECKPOINT LOCATION"] {
            let failure = BackupLabel::parse(LABEL.replace(key, "X").as_bytes()).unwrap_err();
            assert!(failure.message().contains(key), "{failure}");
        }
        let other = LABEL.replace("TIMELINE: 3", "TIMELINE: 4");
        assert!(BackupLabel::parse(other.as_bytes()).is_err());
        assert!(BackupLabel::parse(LABEL.replace("(file", "file").as_bytes()).is_err());
        assert!(BackupLabel::parse(b"\xff\n").is_err());
    }
}
