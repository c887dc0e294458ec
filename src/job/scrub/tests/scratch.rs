//! Generates WAL archives with backups.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::crypto::MasterKey;
use crate::format::wal::synthetic::{MIB, SYSTEM, Writer, size};
use crate::job::scrub::archive::ArchiveCheck;
use crate::job::scrub::by_hand::with_gaps;
use crate::job::scrub::restorable::VerifiedArchive;
use crate::repository::{Gap, Repository, SystemInfo, VerificationInfo, WalFindings};
use crate::status::{Activity, Scope, ServerState};
use crate::sys::Stop;
use crate::unit::{Label, Lsn, PgVersion, Segment, Timeline};

/// A repository in a temporary directory.
pub(super) struct Archive {
    pub(super) base: PathBuf,
    pub(super) repository: Repository,
}

pub(super) fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

pub(super) fn name(line: u32, number: u64) -> String {
    let timeline = timeline(line);
    Segment { timeline, number }.name(size())
}

/// Adds records until the segment `number` is complete; returns the start of the first one.
pub(super) fn fill(wal: &mut Writer, number: u64) -> Lsn {
    let first = wal.record(10, 0, &[7; 3000]);
    while wal.position().0 < (number + 1) * MIB as u64 {
        wal.record(10, 0, &[7; 3000]);
    }
    first
}

impl Archive {
    pub(super) fn new() -> Archive {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let base = format!("pgmoneta-scrub-{}-{number}", std::process::id());
        let base = std::env::temp_dir().join(base);
        fs::create_dir_all(&base).unwrap();
        let repository = Repository::create(&base, &"primary".parse().unwrap()).unwrap();
        let system = SystemInfo {
            system_identifier: SYSTEM,
            version: PgVersion {
                major: 17,
                minor: 1,
            },
            segment_size: size(),
        };
        repository.bind(&system).unwrap();
        repository.set_followed_timeline(Timeline::FIRST).unwrap();
        Archive { base, repository }
    }

    pub(super) fn segment(&self, name: &str) -> PathBuf {
        self.repository.wal_path().join(name)
    }

    /// Stores the segments of a timeline from `first` on.
    pub(super) fn store(&self, wal: &Writer, first: u64) {
        let segments = wal.clone().segments();
        for (number, bytes) in (1..).zip(segments.chunks(MIB)) {
            if number >= first {
                fs::write(self.segment(&name(wal.timeline, number)), bytes).unwrap();
            }
        }
    }

    pub(super) fn add_backup(&self, day: u32, start: Lsn, end: Lsn) -> Label {
        let label: Label = format!("202601{day:02}000000").parse().unwrap();
        let path = self.repository.backup_directory(&label);
        fs::create_dir_all(&path).unwrap();
        let info = format!(
            "STATUS=1\nSTART_WALPOS={start}\nEND_WALPOS={end}\nSTART_TIMELINE=1\nEND_TIMELINE=1\n"
        );
        fs::write(path.join("backup.info"), info).unwrap();
        label
    }

    pub(super) fn flip(&self, segment: &str, at: usize) {
        let path = self.segment(segment);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    }

    /// Reads what is not in the findings; returns the missing files, the first one of each range.
    pub(super) fn read_on(&self, findings: &mut WalFindings) -> Vec<String> {
        let state = ServerState::new(&"primary".parse().unwrap());
        let guard = state.begin(Activity::Verify, Scope::Verify(None)).unwrap();
        let check = ArchiveCheck {
            repository: &self.repository,
            key: &Arc::new(MasterKey::for_tests(1)),
            stop: &Stop::new().unwrap(),
            pace: None,
            progress: guard.progress(),
            save_interval: u64::MAX,
            save: &|_| Ok(()),
        };
        let missing = check.run(findings).unwrap();
        let backups = check.backups().unwrap();
        let missing = with_gaps(&self.repository, &backups, (missing, findings)).unwrap();
        missing.into_iter().map(|one| one.file).collect()
    }

    pub(super) fn read(&self) -> (WalFindings, Vec<String>) {
        let mut findings = WalFindings::new(1);
        let missing = self.read_on(&mut findings);
        (findings, missing)
    }

    /// The proven interval.
    pub(super) fn proven(&self, findings: &WalFindings) -> Option<(u32, Lsn, Lsn)> {
        self.proven_or_why(findings).0
    }

    /// The proven interval, and why it does not end on the followed timeline.
    pub(super) fn proven_or_why(
        &self,
        findings: &WalFindings,
    ) -> (Option<(u32, Lsn, Lsn)>, Option<String>) {
        let mut info = VerificationInfo::default();
        info.wal = Some(findings.clone());
        let backups = self.repository.backups().unwrap();
        let gaps = self.gaps();
        let archive = VerifiedArchive {
            repository: &self.repository,
            key: &Arc::new(MasterKey::for_tests(1)),
            stop: &Stop::new().unwrap(),
            info: &info,
            backups: &backups,
            gaps: &gaps,
        };
        let (proven, why) = archive.restorable().unwrap();
        let interval = proven.map(|proven| (proven.timeline.number(), proven.from, proven.to));
        (interval, why)
    }

    pub(super) fn gaps(&self) -> Vec<Gap> {
        let backups = self.repository.backups().unwrap();
        let starts: Vec<_> = backups.iter().map(|backup| backup.info.start).collect();
        let wal = self.repository.wal().unwrap().unwrap();
        wal.gaps(&starts).unwrap()
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.base).unwrap();
    }
}

/// Six segments, with backups that begin in the first and in the fifth one. Returns the ends of the
/// backups, and that of the WAL.
pub(super) fn two_backups(archive: &Archive) -> (Writer, [Label; 2], [Lsn; 3]) {
    let mut wal = Writer::new();
    let start = fill(&mut wal, 1);
    let first_end = wal.position();
    for number in 2..=4 {
        fill(&mut wal, number);
    }
    let second = fill(&mut wal, 5);
    let second_end = wal.position();
    fill(&mut wal, 6);
    let end = wal.position();
    let labels = [
        archive.add_backup(1, start, first_end),
        archive.add_backup(2, second, second_end),
    ];
    archive.store(&wal, 1);
    (wal, labels, [first_end, second_end, end])
}

/// A fail-over in the middle of segment 7, with a second timeline up to segment 9. Returns the end
/// of the first backup, the switch, and the end of the WAL.
pub(super) fn fail_over(archive: &Archive) -> [Lsn; 3] {
    let (mut wal, _, [first_end, _, _]) = two_backups(archive);
    for _ in 0..100 {
        wal.record(10, 0, &[7; 3000]);
    }
    archive.store(&wal, 7);
    let switch = wal.position();
    let mut branch = Writer { timeline: 2, ..wal };
    fill(&mut branch, 8);
    archive.store(&branch, 7);
    archive
        .repository
        .set_followed_timeline(timeline(2))
        .unwrap();
    let history = archive.segment("00000002.history");
    fs::write(history, format!("1\t{switch}\tx\n")).unwrap();
    [first_end, switch, branch.position()]
}
