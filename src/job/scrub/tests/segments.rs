//! WAL of one timeline, and damage in it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::crypto::MasterKey;
use crate::error::{Error, ErrorKind};
use crate::format::wal::synthetic::{MIB, PAGE, Writer};
use crate::job::scrub::archive::ArchiveCheck;
use crate::job::scrub::restorable::VerifiedArchive;
use crate::repository::{Gap, VerificationInfo, WalFindings};
use crate::status::{Activity, Scope, ServerState};
use crate::sys::Stop;
use crate::unit::Lsn;

use super::scratch::{Archive, fill, name, two_backups};

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
