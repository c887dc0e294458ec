//! Synthetic WAL archives with backups, and damage in them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::archive::ArchiveCheck;
use super::by_hand::with_gaps;
use super::restorable::VerifiedArchive;
use crate::crypto::MasterKey;
use crate::error::{Error, ErrorKind};
use crate::format::wal::synthetic::{MIB, PAGE, SYSTEM, Writer, size};
use crate::repository::{Gap, Repository, SystemInfo, VerificationInfo, WalFindings};
use crate::status::{Activity, Scope, ServerState};
use crate::sys::Stop;
use crate::unit::{Label, Lsn, PgVersion, Segment, Timeline};

/// A repository in a temporary directory.
struct Archive {
    base: PathBuf,
    repository: Repository,
}

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

fn name(line: u32, number: u64) -> String {
    let timeline = timeline(line);
    Segment { timeline, number }.name(size())
}

/// Adds records until the segment `number` is complete; returns the start of the first one.
fn fill(wal: &mut Writer, number: u64) -> Lsn {
    let first = wal.record(10, 0, &[7; 3000]);
    while wal.position().0 < (number + 1) * MIB as u64 {
        wal.record(10, 0, &[7; 3000]);
    }
    first
}

impl Archive {
    fn new() -> Archive {
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

    fn segment(&self, name: &str) -> PathBuf {
        self.repository.wal_path().join(name)
    }

    /// Stores the segments of a timeline from `first` on.
    fn store(&self, wal: &Writer, first: u64) {
        let segments = wal.clone().segments();
        for (number, bytes) in (1..).zip(segments.chunks(MIB)) {
            if number >= first {
                fs::write(self.segment(&name(wal.timeline, number)), bytes).unwrap();
            }
        }
    }

    fn add_backup(&self, day: u32, start: Lsn, end: Lsn) -> Label {
        let label: Label = format!("202601{day:02}000000").parse().unwrap();
        let path = self.repository.backup_directory(&label);
        fs::create_dir_all(&path).unwrap();
        let info = format!(
            "STATUS=1\nSTART_WALPOS={start}\nEND_WALPOS={end}\nSTART_TIMELINE=1\nEND_TIMELINE=1\n"
        );
        fs::write(path.join("backup.info"), info).unwrap();
        label
    }

    fn flip(&self, segment: &str, at: usize) {
        let path = self.segment(segment);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    }

    /// Reads what is not in the findings; returns the missing files, the first one of each range.
    fn read_on(&self, findings: &mut WalFindings) -> Vec<String> {
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

    fn read(&self) -> (WalFindings, Vec<String>) {
        let mut findings = WalFindings::new(1);
        let missing = self.read_on(&mut findings);
        (findings, missing)
    }

    /// The proven interval.
    fn proven(&self, findings: &WalFindings) -> Option<(u32, Lsn, Lsn)> {
        self.proven_or_why(findings).0
    }

    /// The proven interval, and why it does not end on the followed timeline.
    fn proven_or_why(&self, findings: &WalFindings) -> (Option<(u32, Lsn, Lsn)>, Option<String>) {
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
        let proven = archive.restorable().unwrap();
        let why = archive.why_incomplete(proven.as_ref()).unwrap();
        let interval = proven.map(|proven| (proven.timeline.number(), proven.from, proven.to));
        (interval, why)
    }

    fn gaps(&self) -> Vec<Gap> {
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
fn two_backups(archive: &Archive) -> (Writer, [Label; 2], [Lsn; 3]) {
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

#[test]
fn good_wal_is_proven_from_the_oldest_backup_to_its_end_and_later_wal_is_added() {
    let archive = Archive::new();
    assert_eq!(archive.read().1, Vec::<String>::new());
    let (mut wal, _, [first_end, _, end]) = two_backups(&archive);
    let (mut findings, missing) = archive.read();
    assert!(
        missing.is_empty() && findings.bad.is_empty(),
        "{findings:?}"
    );
    assert_eq!(archive.proven(&findings), Some((1, first_end, end)));

    // What was read is not read again until its turn; what arrived is.
    archive.flip(&name(1, 3), 5000);
    fill(&mut wal, 7);
    archive.store(&wal, 7);
    assert!(archive.read_on(&mut findings).is_empty());
    assert!(findings.bad.is_empty(), "{findings:?}");
    let end = wal.position();
    assert_eq!(archive.proven(&findings), Some((1, first_end, end)));
    assert_eq!(archive.read().0.bad.len(), 1);
}

#[test]
fn a_damaged_segment_is_named_with_the_backups_and_the_interval_that_it_affects() {
    let archive = Archive::new();
    let (_, [first, second], [_, second_end, end]) = two_backups(&archive);
    // A byte of a record, of a page header, and of the first page; a truncated file.
    let cut = |archive: &Archive| {
        let path = archive.segment(&name(1, 3));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..MIB / 2]).unwrap();
    };
    let damages: [&dyn Fn(&Archive); 5] = [
        &|archive| archive.flip(&name(1, 3), 5 * PAGE + 100),
        &|archive| archive.flip(&name(1, 3), 5 * PAGE + 9),
        &|archive| archive.flip(&name(1, 3), 30),
        &|archive| archive.flip(&name(1, 3), 0),
        &cut,
    ];
    let kept = fs::read(archive.segment(&name(1, 3))).unwrap();
    for (number, damage) in damages.into_iter().enumerate() {
        damage(&archive);
        let (findings, missing) = archive.read();
        assert!(missing.is_empty(), "{number}: {missing:?}");
        let [bad] = findings.bad.as_slice() else {
            panic!("{number}: {findings:?}");
        };
        assert_eq!(bad.file, name(1, 3), "{number}");
        assert!(
            bad.problem.contains(&name(1, 3)),
            "{number}: {}",
            bad.problem
        );
        assert!(bad.problem.contains(&format!("the backup {first} can be")));
        let interval = format!("there to {second_end}, the end of the next backup");
        assert!(bad.problem.contains(&interval), "{}", bad.problem);
        assert!(!bad.problem.contains(second.as_str()));
        // From the second backup on all is good.
        assert_eq!(archive.proven(&findings), Some((1, second_end, end)));
        fs::write(archive.segment(&name(1, 3)), &kept).unwrap();
    }
    archive.flip(&name(1, 6), 5 * PAGE + 100);
    let (findings, _) = archive.read();
    let problem = &findings.bad[0].problem;
    assert!(problem.contains(&format!("backups {first}, {second} can be")));
    assert!(
        problem.contains("no later position can be reached"),
        "{problem}"
    );
    let (_, _, to) = archive.proven(&findings).unwrap();
    assert!(to.0 / MIB as u64 == 6 && to < end);
}

#[test]
fn damaged_segments_one_after_the_other_are_one_range() {
    let archive = Archive::new();
    let (_, _, [_, second_end, end]) = two_backups(&archive);
    for number in 2..=4 {
        fs::write(archive.segment(&name(1, number)), vec![0xEE; MIB]).unwrap();
    }
    let (findings, _) = archive.read();
    let [bad] = findings.bad.as_slice() else {
        panic!("{findings:?}");
    };
    let range = format!("WAL segments {} to {} are", name(1, 2), name(1, 4));
    assert!(bad.problem.starts_with(&range), "{}", bad.problem);
    assert_eq!((bad.from.lsn.0, bad.to.0), (2 << 20, 5 << 20));
    assert_eq!(archive.proven(&findings), Some((1, second_end, end)));
}

#[test]
fn a_segment_that_is_damaged_after_its_last_record_is_found() {
    let archive = Archive::new();
    let mut wal = Writer::new();
    let start = fill(&mut wal, 1);
    archive.add_backup(1, start, start.advance(100));
    wal.record(0, 0x40, &[]);
    let switched = wal.bytes.len();
    wal.bytes.resize(2 * MIB, 0);
    fill(&mut wal, 3);
    archive.store(&wal, 1);
    assert!(archive.read().0.bad.is_empty());
    let path = archive.segment(&name(1, 2));
    let bytes = fs::read(&path).unwrap();
    assert!(switched % MIB < MIB - 2 * PAGE, "{switched}");
    fs::write(path, &bytes[..MIB - PAGE]).unwrap();
    let (findings, _) = archive.read();
    assert_eq!(findings.bad.len(), 1, "{findings:?}");
    assert_eq!(findings.bad[0].file, name(1, 2));
    let (_, _, to) = archive.proven(&findings).unwrap();
    assert_eq!(to, Lsn(2 * MIB as u64));
}

#[test]
fn a_missing_segment_ends_the_interval_unless_it_was_removed_on_purpose() {
    let archive = Archive::new();
    let (_, _, [_, second_end, end]) = two_backups(&archive);
    for number in [2, 3] {
        fs::remove_file(archive.segment(&name(1, number))).unwrap();
    }
    let (findings, missing) = archive.read();
    assert_eq!(missing, [name(1, 2)]);
    assert!(findings.bad.is_empty());
    assert_eq!(archive.proven(&findings), Some((1, second_end, end)));
    let pruned = archive.repository.path().join("wal.pruned");
    fs::write(pruned, "1=0/400000\n").unwrap();
    let (findings, missing) = archive.read();
    assert_eq!(missing, Vec::<String>::new());
    assert_eq!(archive.proven(&findings), Some((1, second_end, end)));
}

#[test]
fn the_interval_goes_over_a_switch_to_another_timeline() {
    let archive = Archive::new();
    let (wal, _, [first_end, _, _]) = two_backups(&archive);
    let switch = wal.position();
    let mut branch = Writer { timeline: 2, ..wal };
    fill(&mut branch, 8);
    archive.store(&branch, switch.0 / MIB as u64);
    archive
        .repository
        .set_followed_timeline(timeline(2))
        .unwrap();
    assert_eq!(archive.read().0.bad[0].file, "00000002.history");
    let history = archive.segment("00000002.history");
    fs::write(&history, format!("1\t{switch}\tx\n")).unwrap();
    let (findings, missing) = archive.read();
    assert!(
        missing.is_empty() && findings.bad.is_empty(),
        "{findings:?}"
    );
    let end = branch.position();
    assert_eq!(archive.proven(&findings), Some((2, first_end, end)));
    // The next timeline contradicts it.
    let next = archive.segment("00000003.history");
    fs::write(&next, format!("1\t{first_end}\tx\n2\t{end}\tx\n")).unwrap();
    let (contradicting, _) = archive.read();
    assert!(
        contradicting.bad[0]
            .problem
            .contains("it contradicts 00000003.history"),
        "{contradicting:?}"
    );
    assert_eq!(archive.proven(&contradicting), None);
    fs::remove_file(next).unwrap();
    // Damage on the parent ends it.
    archive.flip(&name(1, 6), 5 * PAGE + 100);
    let (last, from, to) = archive.proven(&archive.read().0).unwrap();
    assert!((last, from) == (1, first_end) && to < switch, "{last} {to}");
    fs::write(history, "1\tdamaged\n").unwrap();
    let (mut findings, _) = archive.read();
    assert_eq!(findings.bad[0].file, "00000002.history");
    let count = findings.bad.len();
    archive.read_on(&mut findings);
    assert_eq!(findings.bad.len(), count, "it is reported once");
}

/// A fail-over in the middle of segment 7, with a second timeline up to segment 9. Returns the end
/// of the first backup, the switch, and the end of the WAL.
fn fail_over(archive: &Archive) -> [Lsn; 3] {
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

#[test]
fn the_wal_that_a_timeline_copies_from_its_parent_is_verified_too() {
    let archive = Archive::new();
    let [first_end, switch, end] = fail_over(&archive);
    let (first, kept) = (name(2, 7), fs::read(archive.segment(&name(2, 7))).unwrap());
    let in_copy = 5 * PAGE + 100;
    assert!((7 * MIB + in_copy + PAGE) < usize::try_from(switch.0).unwrap());
    let (mut findings, missing) = archive.read();
    assert!(
        missing.is_empty() && findings.bad.is_empty(),
        "{findings:?}"
    );
    assert_eq!(archive.proven(&findings), Some((2, first_end, end)));
    let before = findings.clone();
    assert!(archive.read_on(&mut findings).is_empty());
    assert_eq!(findings, before);
    // The copy ends the interval, not the parent's segment; also in its first page, of which a
    // record from before has a part.
    for (number, at) in [in_copy, 0, 60].into_iter().enumerate() {
        archive.flip(&first, at);
        let (mut findings, missing) = archive.read();
        assert!(missing.is_empty(), "{number}");
        let [bad] = findings.bad.as_slice() else {
            panic!("{number}: {findings:?}");
        };
        assert_eq!(bad.file, first, "{number}: {findings:?}");
        assert_eq!(bad.from, timeline(2).at(Lsn(7 << 20)), "{number}");
        let (last, from, to) = archive.proven(&findings).unwrap();
        assert!(last == 1 && from == first_end, "{number}: {last}");
        assert!(to.0 <= (7 * MIB + at) as u64 && to.0 > 6 << 20, "{to}");
        let before = findings.clone();
        archive.read_on(&mut findings);
        assert_eq!(findings, before);
        fs::write(archive.segment(&first), &kept).unwrap();
    }
    // The parent's own segment of that number is not needed.
    fs::remove_file(archive.segment(&name(1, 7))).unwrap();
    let (findings, missing) = archive.read();
    assert!(
        missing.is_empty() && findings.bad.is_empty(),
        "{findings:?}"
    );
    assert_eq!(archive.proven(&findings), Some((2, first_end, end)));
}

#[test]
fn the_interval_ends_before_segments_that_are_missing_now() {
    let archive = Archive::new();
    let (_, _, [first_end, second_end, end]) = two_backups(&archive);
    let (findings, _) = archive.read();
    let proven = |name: &str| {
        let path = archive.segment(name);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let proven = archive.proven(&findings);
        fs::write(path, kept).unwrap();
        proven
    };
    assert_eq!(proven(&name(1, 3)), Some((1, second_end, end)));
    // The last record in segment 5 goes on in segment 6, and it is 3024 bytes long.
    let (last, from, to) = proven(&name(1, 6)).unwrap();
    assert_eq!(
        (last, from),
        (1, first_end),
        "the second backup is incomplete"
    );
    assert!(to.0 < 6 << 20 && to.0 > (6 << 20) - 3100, "{to}");
    assert_eq!(proven(&name(1, 2)), Some((1, second_end, end)));
    assert_eq!(archive.proven(&findings), Some((1, first_end, end)));
}

#[test]
fn an_interval_that_does_not_end_on_the_followed_timeline_has_a_reason() {
    let archive = Archive::new();
    let [first_end, switch, end] = fail_over(&archive);
    let (findings, _) = archive.read();
    let complete = (Some((2, first_end, end)), None);
    assert_eq!(archive.proven_or_why(&findings), complete);
    let cut = |found: (Option<(u32, Lsn, Lsn)>, Option<String>), why: &str| {
        let (Some((1, from, to)), Some(reason)) = found else {
            panic!("{found:?}");
        };
        assert!(from == first_end && to <= switch, "{to}");
        let expected = format!("the archive follows timeline 2, but recovery is proven up to {to}");
        assert!(
            reason.starts_with(&expected) && reason.contains(why),
            "{reason}"
        );
    };
    let first = archive.segment(&name(2, 7));
    let kept = fs::read(&first).unwrap();
    archive.flip(&name(2, 7), 5 * PAGE + 100);
    let why = format!("WAL segment {} is damaged", name(2, 7));
    cut(archive.proven_or_why(&archive.read().0), &why);
    fs::remove_file(&first).unwrap();
    let why = format!("WAL segment {} ", name(2, 7));
    cut(archive.proven_or_why(&findings), &why);
    cut(archive.proven_or_why(&archive.read().0), &why);
    // Nothing is received after the switch yet.
    let begun = &kept[..usize::try_from(switch.0).unwrap() - 7 * MIB];
    let mut begun = begun.to_vec();
    begun.resize(MIB, 0);
    fs::write(&first, &begun).unwrap();
    fs::remove_file(archive.segment(&name(2, 8))).unwrap();
    fs::remove_file(archive.segment(&name(2, 9))).unwrap();
    let (findings, missing) = archive.read();
    assert!(
        missing.is_empty() && findings.bad.is_empty(),
        "{findings:?}"
    );
    let complete = (Some((1, first_end, switch)), None);
    assert_eq!(archive.proven_or_why(&findings), complete);
}

#[test]
fn a_followed_timeline_to_which_no_backup_leads_is_a_problem() {
    let archive = Archive::new();
    fail_over(&archive);
    let (findings, _) = archive.read();
    // The ancestors are unknown.
    fs::write(archive.segment("00000002.history"), "").unwrap();
    let (None, Some(why)) = archive.proven_or_why(&findings) else {
        panic!("{findings:?}");
    };
    assert!(why.contains("timeline 2, but no backup is proven"), "{why}");
    // What no backup needs was not verified.
    assert_eq!(archive.proven_or_why(&WalFindings::new(1)), (None, None));
    let other = Archive::new();
    assert_eq!(other.proven_or_why(&findings), (None, None));
}

#[test]
fn segments_at_the_end_of_an_ancestor_and_whole_timelines_are_missing() {
    let archive = Archive::new();
    fail_over(&archive);
    let remove = |line: u32, numbers: &[u64]| {
        for number in numbers {
            fs::remove_file(archive.segment(&name(line, *number))).unwrap();
        }
    };
    // The first segment of timeline 2 has what is needed of this one.
    remove(1, &[7]);
    assert!(archive.read().1.is_empty());
    remove(1, &[6]);
    assert_eq!(archive.read().1, [name(1, 6)]);
    remove(1, &[5, 3]);
    assert_eq!(archive.read().1, [name(1, 3), name(1, 5)]);
    remove(1, &[1, 2, 4]);
    remove(2, &[8]);
    assert_eq!(archive.read().1, [name(1, 1), name(2, 8)]);
    // What is too short is damaged, and not missing too.
    fs::write(archive.segment(&name(2, 8)), vec![0; PAGE]).unwrap();
    let (findings, missing) = archive.read();
    assert_eq!(missing, [name(1, 1)]);
    assert_eq!(findings.bad[0].file, name(2, 8));
    // A history file that is damaged is reported, and not an error.
    fs::write(archive.segment("00000002.history"), "1\tdamaged\n").unwrap();
    archive.read();
}

#[test]
fn what_is_missing_is_not_a_damaged_segment_too() {
    let archive = Archive::new();
    two_backups(&archive);
    let path = archive.segment(&name(1, 3));
    let kept = fs::read(&path).unwrap();
    fs::write(&path, &kept[..MIB / 2]).unwrap();
    let (findings, _) = archive.read();
    assert_eq!(findings.bad.len(), 1);
    let mut info = VerificationInfo::default();
    info.wal = Some(findings);
    let problems = |gaps: &[Gap]| {
        let verified = VerifiedArchive {
            repository: &archive.repository,
            key: &Arc::new(MasterKey::for_tests(1)),
            stop: &Stop::new().unwrap(),
            info: &info,
            backups: &[],
            gaps,
        };
        verified.problems().unwrap().len()
    };
    assert_eq!((problems(&[]), problems(&archive.gaps())), (1, 0));
}

#[test]
fn damage_before_a_timeline_is_reported_for_its_parent_only() {
    let archive = Archive::new();
    let [_, _, end] = fail_over(&archive);
    // In the record that goes on in the first segment of the new timeline, and before it.
    let kept = fs::read(archive.segment(&name(1, 6))).unwrap();
    for at in [MIB - 100, 5 * PAGE + 100, 0] {
        archive.flip(&name(1, 6), at);
        let (findings, missing) = archive.read();
        assert!(missing.is_empty());
        let bad: Vec<u32> = findings
            .bad
            .iter()
            .map(|bad| bad.from.timeline.number())
            .collect();
        assert_eq!(bad, [1], "{at}: {findings:?}");
        fs::write(archive.segment(&name(1, 6)), &kept).unwrap();
    }
    for missing in [6, 5] {
        fs::remove_file(archive.segment(&name(1, missing))).unwrap();
        let (findings, _) = archive.read();
        assert!(findings.bad.is_empty(), "{findings:?}");
        assert_eq!(findings.of(timeline(2)).next_back().unwrap().to, end);
    }
}

#[test]
fn a_switch_where_no_record_begins_is_reported() {
    let archive = Archive::new();
    let [_, switch, _] = fail_over(&archive);
    let wrong = Lsn(switch.0 - 2000);
    let history = archive.segment("00000002.history");
    fs::write(history, format!("1\t{wrong}\tx\n")).unwrap();
    let (findings, _) = archive.read();
    assert_eq!(findings.bad.len(), 1, "{findings:?}");
    assert_eq!(findings.bad[0].file, name(2, 7));
}

#[test]
fn a_file_of_another_timeline_is_reported_and_not_the_good_one_after_it() {
    let archive = Archive::new();
    let (wal, _, _) = two_backups(&archive);
    // The server was restored to a position in segment 2, and wrote the same again.
    let mut branch = Writer::new();
    let mut switch = Lsn::ZERO;
    for number in 1..=5 {
        fill(&mut branch, number);
        if number == 2 {
            switch = branch.position();
            branch.timeline = 2;
        }
    }
    assert_eq!(
        branch.bytes[2 * MIB..][PAGE + 24..][..1000],
        wal.bytes[2 * MIB..][PAGE + 24..][..1000]
    );
    archive.store(&branch, 3);
    let history = archive.segment("00000002.history");
    fs::write(history, format!("1\t{switch}\tx\n")).unwrap();
    let (findings, missing) = archive.read();
    assert!(
        missing.is_empty() && findings.bad.is_empty(),
        "{findings:?}"
    );
    let copied = |from: (u32, u64), to: (u32, u64)| {
        let kept = fs::read(archive.segment(&name(to.0, to.1))).unwrap();
        let (from, to) = (archive.segment(&name(from.0, from.1)), name(to.0, to.1));
        fs::copy(from, archive.segment(&to)).unwrap();
        let bad = archive.read().0.bad;
        let bad: Vec<_> = bad.into_iter().map(|bad| bad.file).collect();
        assert_eq!(bad, [to.clone()]);
        fs::write(archive.segment(&to), kept).unwrap();
    };
    copied((2, 4), (1, 4));
    copied((1, 4), (2, 4));
    copied((1, 3), (2, 3));
    copied((2, 3), (1, 3));
}

#[test]
fn an_interrupted_verification_goes_on_where_it_was() {
    let archive = Archive::new();
    let (_, _, [first_end, _, end]) = two_backups(&archive);
    let state = ServerState::new(&"primary".parse().unwrap());
    let guard = state.begin(Activity::Verify, Scope::Verify(None)).unwrap();
    let saved = AtomicUsize::new(0);
    let check = ArchiveCheck {
        repository: &archive.repository,
        key: &Arc::new(MasterKey::for_tests(1)),
        stop: &Stop::new().unwrap(),
        pace: None,
        progress: guard.progress(),
        save_interval: 2 * MIB as u64,
        save: &|_| match saved.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(Error::new(ErrorKind::Stopped, "stop")),
        },
    };
    let mut findings = WalFindings::new(1);
    assert!(check.run(&mut findings).is_err());
    let read = findings.proven[0].to;
    assert!(read.0 > 4 * MIB as u64 && read < end, "{read}");
    archive.flip(&name(1, 2), 5000);
    assert!(archive.read_on(&mut findings).is_empty());
    assert!(findings.bad.is_empty(), "{findings:?}");
    assert_eq!(archive.proven(&findings), Some((1, first_end, end)));
}
