//! When the backups and the WAL of a server were verified, and with which result:
//! `verification.info`.
//!
//! Nothing depends on it but when something is read again, and what `status` shows. A file that is
//! damaged or from elsewhere is as none: nothing was verified.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;

use super::Repository;
use super::layout::VERIFICATION_INFO;
use crate::crypto::Sha256;
use crate::error::Result;
use crate::format::hex;
use crate::storage;
use crate::unit::{Label, Lsn, Timeline, WalPosition};

/// Limit for the file, bytes: it has a line for each backup and for each interval of WAL.
const MAX_SIZE: u64 = 64 << 20;

const HEADING: &str = "# When backups and WAL were verified, in seconds since 1970 UTC.\n";

/// The key of the last line, with the digest of the lines before.
const DIGEST: &str = "sha256=";

/// The content of `verification.info`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationInfo {
    backups: BTreeMap<Label, VerifiedBackup>,
    /// The result of the last complete verification of the WAL archive, and of the WAL that
    /// arrived since.
    pub wal: Option<WalFindings>,
    /// The result of one that was interrupted, so far.
    pub unfinished: Option<WalFindings>,
}

/// The last verification of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBackup {
    /// When it began, seconds since 1970 UTC.
    pub at: i64,
    /// What was wrong, one line; `None` if the backup was good.
    pub problem: Option<String>,
}

/// What was found in a WAL archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalFindings {
    /// When the verification began, seconds since 1970 UTC: all of the WAL was read since then.
    pub begun: i64,
    /// Intervals in which each record follows the one before and has a valid checksum; in order
    /// for each timeline.
    pub proven: Vec<ProvenWal>,
    /// In order for each timeline.
    pub bad: Vec<BadWal>,
}

/// An interval of good WAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenWal {
    /// The start of the first record.
    pub from: WalPosition,
    /// The end of the last record.
    pub to: Lsn,
}

/// Damaged WAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadWal {
    /// The start of the first damaged segment; 0/0 for a history file.
    pub from: WalPosition,
    /// The end of the last one; 0/0 for a history file.
    pub to: Lsn,
    /// The name of the segment in which the damage was found, or of a history file.
    pub file: String,
    /// What is wrong, and what it affects; one line.
    pub problem: String,
}

/// Where WAL of a timeline is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextWal {
    /// Nothing was read.
    Start,
    /// From the record at this position on.
    Record(Lsn),
    /// From the first record in the segments from this position on: those before are damaged.
    After(Lsn),
}

impl VerificationInfo {
    /// The last verification of a backup.
    pub fn backup(&self, label: &Label) -> Option<&VerifiedBackup> {
        self.backups.get(label)
    }

    /// Whether the last verification of a backup found something wrong.
    pub fn has_problem(&self, label: &Label) -> bool {
        self.backup(label)
            .is_some_and(|last| last.problem.is_some())
    }

    /// Sets when a backup was verified, and what was wrong.
    pub fn set_backup(&mut self, label: &Label, at: i64, problem: Option<String>) {
        let problem = problem.map(|text| one_line(&text));
        let verified = VerifiedBackup { at, problem };
        self.backups.insert(label.clone(), verified);
    }

    /// Forgets the backups for which `keep` is false.
    pub fn retain_backups(&mut self, keep: impl Fn(&Label) -> bool) {
        self.backups.retain(|label, _| keep(label));
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = HEADING.to_owned();
        // Writing to a string cannot fail.
        for (label, VerifiedBackup { at, problem }) in &self.backups {
            let problem = problem.as_deref().unwrap_or_default();
            let _ = writeln!(text, "backup={label} {at} {problem}");
        }
        for (word, findings) in [("", &self.wal), ("unfinished-", &self.unfinished)] {
            let Some(findings) = findings else { continue };
            let _ = writeln!(text, "{word}wal={}", findings.begun);
            for ProvenWal { from, to } in &findings.proven {
                let _ = writeln!(text, "{word}proven={} {} {to}", from.timeline, from.lsn);
            }
            for bad in &findings.bad {
                let (from, to, file) = (bad.from, bad.to, &bad.file);
                let problem = one_line(&bad.problem);
                let (timeline, lsn) = (from.timeline, from.lsn);
                let _ = writeln!(text, "{word}bad={timeline} {lsn} {to} {file} {problem}");
            }
        }
        let digest = hex::encode(&Sha256::of(text.as_bytes()));
        let _ = writeln!(text, "{DIGEST}{digest}");
        text
    }

    /// `None` if it is damaged, or of a later version.
    pub(super) fn parse(content: &[u8]) -> Option<VerificationInfo> {
        let text = std::str::from_utf8(content).ok()?;
        let (lines, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let (lines, digest) = (text.get(..=lines.len())?, last.strip_prefix(DIGEST)?);
        if hex::encode(&Sha256::of(lines.as_bytes())) != digest {
            return None;
        }
        let mut info = VerificationInfo::default();
        for line in lines.lines().filter(|line| !line.starts_with('#')) {
            let (key, value) = line.split_once('=')?;
            let (findings, key) = match key.strip_prefix("unfinished-") {
                Some(key) => (&mut info.unfinished, key),
                None => (&mut info.wal, key),
            };
            match key {
                "wal" => {
                    *findings = Some(WalFindings {
                        begun: value.parse().ok()?,
                        ..WalFindings::default()
                    });
                }
                "proven" => findings.as_mut()?.proven.push(ProvenWal::parse(value)?),
                "bad" => findings.as_mut()?.bad.push(BadWal::parse(value)?),
                "backup" => {
                    let mut words = value.splitn(3, ' ');
                    let (label, at) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                    let problem = words.next().filter(|text| !text.is_empty());
                    let problem = problem.map(str::to_owned);
                    info.backups.insert(label, VerifiedBackup { at, problem });
                }
                _ => return None,
            }
        }
        Some(info)
    }
}

impl WalFindings {
    /// Nothing was read yet.
    pub fn new(begun: i64) -> WalFindings {
        WalFindings {
            begun,
            ..WalFindings::default()
        }
    }

    /// Where a timeline is to be read next.
    pub fn next(&self, timeline: Timeline) -> NextWal {
        let proven = self.of(timeline).map(|one| one.to).max();
        let bad = self.bad.iter().filter(|bad| bad.from.timeline == timeline);
        match (proven, bad.map(|bad| bad.to).max()) {
            (None, _) => NextWal::Start,
            (Some(proven), Some(bad)) if bad > proven => NextWal::After(bad),
            (Some(proven), _) => NextWal::Record(proven),
        }
    }

    /// The intervals of a timeline.
    pub fn of(&self, timeline: Timeline) -> impl DoubleEndedIterator<Item = &ProvenWal> {
        let all = self.proven.iter();
        all.filter(move |one| one.from.timeline == timeline)
    }

    /// Begins an interval, which is empty. Other empty ones of its timeline are forgotten.
    pub fn begin(&mut self, from: WalPosition) {
        let to = from.lsn;
        self.proven
            .retain(|one| one.from.timeline != from.timeline || one.from.lsn < one.to);
        self.proven.push(ProvenWal { from, to });
    }

    /// Extends the last interval of a timeline.
    pub fn extend(&mut self, timeline: Timeline, to: Lsn) {
        let mut newest_first = self.proven.iter_mut().rev();
        if let Some(last) = newest_first.find(|one| one.from.timeline == timeline) {
            last.to = last.to.max(to);
        }
    }

    /// Forgets what was found of a timeline.
    pub fn forget(&mut self, timeline: Timeline) {
        self.proven.retain(|one| one.from.timeline != timeline);
        self.bad.retain(|bad| bad.from.timeline != timeline);
    }
}

/// `TIMELINE FROM`
fn position(words: &mut dyn Iterator<Item = &str>) -> Option<WalPosition> {
    let timeline: Timeline = words.next()?.parse().ok()?;
    Some(timeline.at(words.next()?.parse().ok()?))
}

impl ProvenWal {
    fn parse(value: &str) -> Option<ProvenWal> {
        let mut words = value.split(' ');
        let (from, to) = (position(&mut words)?, words.next()?.parse().ok()?);
        words.next().is_none().then_some(ProvenWal { from, to })
    }
}

impl BadWal {
    fn parse(value: &str) -> Option<BadWal> {
        let mut words = value.splitn(5, ' ');
        Some(BadWal {
            from: position(&mut words)?,
            to: words.next()?.parse().ok()?,
            file: words.next()?.to_owned(),
            problem: words.next()?.to_owned(),
        })
    }
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

impl Repository {
    /// When the backups and the WAL were verified. What cannot be read is as never verified.
    pub fn verification(&self) -> VerificationInfo {
        let path = self.path().join(VERIFICATION_INFO);
        let why = match storage::read_file(&path, MAX_SIZE) {
            Ok(content) => match VerificationInfo::parse(&content) {
                Some(info) => return info,
                None => "it is damaged, or of another version".to_owned(),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return VerificationInfo::default();
            }
            Err(error) => error.to_string(),
        };
        let path = path.display();
        log::warn!("{path} is ignored, and all is verified again: {why}");
        VerificationInfo::default()
    }

    /// Changes what is recorded, durably. Calls exclude each other.
    pub fn update_verification(&self, change: impl FnOnce(&mut VerificationInfo)) -> Result<()> {
        let _guard = self.lock_verification();
        let before = self.verification();
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        self.check_paths()?;
        let path = self.path().join(VERIFICATION_INFO);
        storage::replace(&path, after.to_text().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> VerificationInfo {
        let timeline = |number| Timeline::new(number).unwrap();
        let mut findings = WalFindings::new(1_795_684_800);
        findings.begin(timeline(1).at(Lsn(0x200_0028)));
        findings.extend(timeline(1), Lsn(0x300_0100));
        findings.bad.push(BadWal {
            from: timeline(1).at(Lsn(0x300_0000)),
            to: Lsn(0x400_0000),
            file: "000000010000000000000003".to_owned(),
            problem: "a bad = page".to_owned(),
        });
        let mut unfinished = WalFindings::new(-1);
        unfinished.begin(timeline(12).at(Lsn(7)));
        let mut info = VerificationInfo {
            wal: Some(findings),
            unfinished: Some(unfinished),
            ..VerificationInfo::default()
        };
        info.set_backup(&"20260101000000".parse().unwrap(), 5, None);
        let problem = Some("data/x: it\nis = missing".to_owned());
        info.set_backup(&"20260102000000".parse().unwrap(), 6, problem);
        info
    }

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let info = info();
        let text = info.to_text();
        assert_eq!(VerificationInfo::parse(text.as_bytes()), Some(info.clone()));
        let label = "20260102000000".parse().unwrap();
        let problem = info.backup(&label).unwrap().problem.clone();
        assert_eq!(problem.as_deref(), Some("data/x: it is = missing"));
        let empty = VerificationInfo::default();
        assert_eq!(
            VerificationInfo::parse(empty.to_text().as_bytes()),
            Some(empty)
        );
    }

    #[test]
    fn a_file_of_which_one_byte_changed_is_as_none() {
        let text = info().to_text().into_bytes();
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            assert_eq!(VerificationInfo::parse(&changed), None, "byte {at}");
            assert_eq!(VerificationInfo::parse(&text[..at]), None, "{at} bytes");
        }
        assert_eq!(VerificationInfo::parse(&text.repeat(2)), None);
        let later = format!("{HEADING}later=1\n");
        let digest = hex::encode(&Sha256::of(later.as_bytes()));
        let later = format!("{later}{DIGEST}{digest}\n");
        assert_eq!(VerificationInfo::parse(later.as_bytes()), None);
    }

    #[test]
    fn wal_is_read_on_where_it_ended_or_after_what_is_damaged() {
        let first = Timeline::FIRST;
        let mut findings = info().wal.unwrap();
        assert_eq!(findings.next(first), NextWal::After(Lsn(0x400_0000)));
        findings.begin(first.at(Lsn(0x400_0050)));
        findings.extend(first, Lsn(0x400_0090));
        findings.extend(first, Lsn(0x400_0060));
        assert_eq!(findings.next(first), NextWal::Record(Lsn(0x400_0090)));
        assert_eq!(findings.next(Timeline::new(2).unwrap()), NextWal::Start);
        findings.forget(first);
        assert_eq!(findings, WalFindings::new(findings.begun));
    }
}
