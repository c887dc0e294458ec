//! WAL of several timelines.

use std::fs;

use super::scratch::{Archive, fail_over, fill, name, timeline, two_backups};
use crate::format::wal::synthetic::{MIB, PAGE, Writer};
use crate::repository::WalFindings;
use crate::unit::Lsn;

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
    let problem = &contradicting.bad[0].problem;
    assert!(
        problem.contains("it contradicts 00000003.history"),
        "{problem}"
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
        assert_eq!(bad, std::slice::from_ref(&to));
        fs::write(archive.segment(&to), kept).unwrap();
    };
    copied((2, 4), (1, 4));
    copied((1, 4), (2, 4));
    copied((1, 3), (2, 3));
    copied((2, 3), (1, 3));
}
