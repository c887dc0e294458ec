use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::repository::WalDirectory;
use crate::storage::PARTIAL_SUFFIX;

const MIB: u64 = 1 << 20;

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

fn size() -> SegmentSize {
    SegmentSize::new(MIB).unwrap()
}

fn end(number: u32, next: u64, received: u64) -> WalEnd {
    let timeline = timeline(number);
    let archive = WalDirectory::new(Path::new("wal"), size());
    let mut name = Segment::containing(timeline, Lsn(next), size()).name(size());
    if received > next {
        name += PARTIAL_SUFFIX;
    }
    WalEnd {
        timeline,
        next: Lsn(next),
        received: Lsn(received),
        file: archive.wal_file(&name).unwrap(),
    }
}

struct Case {
    end: Option<WalEnd>,
    /// The timeline that the archive followed, and its history.
    followed: Option<(u32, &'static str)>,
    server: (u32, u64),
    history: &'static str,
    slot: Option<u64>,
    removed: Option<(u32, u64)>,
    in_recovery: bool,
}

impl Default for Case {
    fn default() -> Case {
        Case {
            end: None,
            followed: None,
            server: (1, 100 * MIB + 7),
            history: "",
            slot: None,
            removed: None,
            in_recovery: false,
        }
    }
}

impl Case {
    fn choose(&self) -> Result<Start, ReceiveError> {
        let on = timeline(self.server.0);
        let followed = self.followed.map(|(number, text)| {
            TimelineHistory::parse(timeline(number), text.as_bytes()).unwrap()
        });
        StartInputs {
            end: self.end.as_ref(),
            followed: followed.as_ref(),
            identity: &SystemIdentity {
                system_identifier: 1,
                timeline: on,
                position: Lsn(self.server.1),
            },
            in_recovery: self.in_recovery,
            history: &TimelineHistory::parse(on, self.history.as_bytes()).unwrap(),
            slot: self.slot.map(Lsn),
            removed: self
                .removed
                .map(|(number, lsn)| timeline(number).at(Lsn(lsn))),
            size: size(),
        }
        .choose()
    }

    fn at(&self) -> (u32, u64) {
        let start = self.choose().unwrap();
        (start.timeline.number(), start.position.0)
    }
}

#[test]
fn an_empty_archive_starts_at_the_slot_else_at_the_server_position() {
    let slot = Some(42 * MIB + 5);
    assert_eq!(Case::default().at(), (1, 100 * MIB));
    let case = Case {
        slot,
        ..Case::default()
    };
    assert_eq!(case.at(), (1, 42 * MIB));
    let case = Case {
        slot,
        server: (2, 100 * MIB),
        history: "1\t0/5000000\tx", // 80 MiB
        ..Case::default()
    };
    assert_eq!(case.at(), (1, 42 * MIB), "the slot is on the old timeline");
}

#[test]
fn an_archive_resumes_at_its_end_regardless_of_the_slot() {
    for slot in [None, Some(3 * MIB), Some(60 * MIB)] {
        let case = Case {
            end: Some(end(1, 50 * MIB, 50 * MIB + 99)),
            slot,
            ..Case::default()
        };
        assert_eq!(case.at(), (1, 50 * MIB));
        assert_eq!(case.choose().unwrap().notices, []);
    }
}

#[test]
fn a_server_behind_the_archive_is_refused() {
    let mut case = Case {
        end: Some(end(1, 100 * MIB, 100 * MIB + 8)),
        ..Case::default()
    };
    let Err(ReceiveError::NeedsOperator(failure)) = case.choose() else {
        panic!("not refused")
    };
    assert!(failure.message().contains("0/6400007") && failure.message().contains("0/6400008"));
    case.in_recovery = true;
    let result = case.choose();
    assert!(
        matches!(result, Err(ReceiveError::Transient(_))),
        "a standby catches up"
    );
    case.end = Some(end(1, 100 * MIB, 100 * MIB + 7));
    assert_eq!(case.at(), (1, 100 * MIB));
}

#[test]
fn an_older_timeline_is_followed_to_its_switch() {
    let history = "1\t0/5000000\tx\n3\t0/5300010\tx"; // 80 MiB, 83 MiB + 16
    let case = |end| Case {
        end: Some(end),
        server: (11, 100 * MIB),
        history,
        ..Case::default()
    };
    assert_eq!(case(end(1, 79 * MIB, 79 * MIB + 1)).at(), (1, 79 * MIB));
    let left = case(end(1, 80 * MIB, 80 * MIB)).choose().unwrap();
    assert_eq!((left.timeline, left.position), (timeline(3), Lsn(80 * MIB)));
    assert_eq!(left.notices, [], "it ends at the switch point");
    assert_eq!(case(end(3, 83 * MIB, 83 * MIB + 16)).at(), (3, 83 * MIB));
    assert_eq!(case(end(3, 82 * MIB, 82 * MIB)).at(), (3, 82 * MIB));
}

#[test]
fn wal_beyond_the_switch_point_gives_a_notice() {
    let case = |end| Case {
        end: Some(end),
        server: (2, 100 * MIB),
        history: "1\t0/5000010\tx", // 80 MiB + 16
        ..Case::default()
    };
    let expected = [StartNotice::Diverged {
        timeline: timeline(1),
        switch: Lsn(80 * MIB + 16),
        end: Lsn(80 * MIB + 17),
    }];
    let same = case(end(1, 80 * MIB, 80 * MIB + 17)).choose().unwrap();
    assert_eq!((same.timeline, same.position), (timeline(1), Lsn(80 * MIB)));
    assert_eq!(same.notices, expected);
    let later = case(end(1, 82 * MIB, 82 * MIB)).choose().unwrap();
    assert_eq!(
        (later.timeline, later.position),
        (timeline(2), Lsn(80 * MIB))
    );
    assert!(matches!(later.notices[..], [StartNotice::Diverged { .. }]));
}

#[test]
fn a_switch_to_another_branch_gives_a_notice() {
    // The archive followed timeline 2; the server was recovered to another point of timeline 1.
    let case = |server: (u32, u64), history| Case {
        end: Some(end(1, 81 * MIB, 81 * MIB)),
        followed: Some((2, "1\t0/5000010\tx")), // 80 MiB + 16
        server,
        history,
        ..Case::default()
    };
    let start = case((3, 100 * MIB), "1\t0/5000020\tx").choose().unwrap();
    assert_eq!(
        (start.timeline, start.position),
        (timeline(3), Lsn(80 * MIB))
    );
    let expected = StartNotice::Branch {
        followed: timeline(2),
        timeline: timeline(3),
        fork: Some(timeline(1).at(Lsn(80 * MIB + 16))),
    };
    assert!(start.notices.contains(&expected), "{start:?}");
    let back = case((1, 100 * MIB), "").choose().unwrap();
    assert_eq!((back.timeline, back.position), (timeline(1), Lsn(81 * MIB)));
    let expected = StartNotice::Failback {
        followed: timeline(2),
        timeline: timeline(1),
        fork: Lsn(80 * MIB + 16),
    };
    assert_eq!(back.notices, [expected]);
    let on = case((3, 100 * MIB), "1\t0/5000010\tx\n2\t0/5000020\tx")
        .choose()
        .unwrap();
    assert!(
        !on.notices
            .iter()
            .any(|notice| matches!(notice, StartNotice::Branch { .. })),
        "{on:?}"
    );
}

#[test]
fn an_archive_without_wal_on_the_path_starts_at_the_slot_with_a_notice() {
    let case = Case {
        followed: Some((2, "")),
        server: (4, 100 * MIB),
        history: "3\t0/5000010\tx",
        slot: Some(90 * MIB + 7),
        ..Case::default()
    };
    let start = case.choose().unwrap();
    assert_eq!(
        (start.timeline, start.position),
        (timeline(4), Lsn(90 * MIB))
    );
    let expected = StartNotice::NoWalOnPath {
        timeline: timeline(4),
        from: Lsn(90 * MIB),
    };
    assert_eq!(start.notices[0], expected);
}

#[test]
fn wal_after_a_superseded_switch_point_is_not_requested() {
    // 83 MiB + 16, then 80 MiB + 16: no WAL of timeline 2 is valid.
    let case = |end| Case {
        end: Some(end),
        server: (3, 100 * MIB),
        history: "1\t0/5300010\tx\n2\t0/5000010\tx",
        ..Case::default()
    };
    let next = timeline(3).at(Lsn(80 * MIB + 16));
    let before = case(end(1, 79 * MIB, 79 * MIB)).choose().unwrap();
    assert_eq!(
        (before.timeline, before.position),
        (timeline(1), Lsn(79 * MIB))
    );
    assert_eq!(before.leave, Some(next));
    for at in [80 * MIB, 81 * MIB, 90 * MIB] {
        let start = case(end(1, at, at)).choose().unwrap();
        assert_eq!(
            (start.timeline, start.position),
            (timeline(3), Lsn(80 * MIB))
        );
        assert_eq!(start.leave, None);
    }
}

#[test]
fn a_gap_is_skipped_only_with_a_slot_created_after_the_loss() {
    let mut case = Case {
        end: Some(end(1, 50 * MIB, 50 * MIB + 9)),
        slot: Some(50 * MIB + 9),
        removed: Some((1, 50 * MIB)),
        ..Case::default()
    };
    assert_eq!(case.at(), (1, 50 * MIB), "the slot that lost the WAL");
    case.slot = None;
    assert_eq!(case.at(), (1, 50 * MIB));
    case.slot = Some(70 * MIB + 3);
    let start = case.choose().unwrap();
    assert_eq!(start.position, Lsn(70 * MIB));
    let expected = StartNotice::Gap {
        from: Lsn(50 * MIB),
        to: Lsn(70 * MIB),
    };
    assert_eq!(start.notices, [expected]);
    case.removed = Some((1, 49 * MIB));
    assert_eq!(case.at(), (1, 50 * MIB), "other WAL was removed");
}

proptest! {
    /// For all inputs: no WAL after the archive's end is skipped without a gap notice.
    #[test]
    fn never_starts_after_the_end_of_wal(
        next in 0u64..200,
        more in 0u64..MIB,
        switch in 0u64..200 * MIB,
        on in 1u32..3,
        server in 0u64..300 * MIB,
        slot in prop::option::of(0u64..300 * MIB),
        removed: bool,
    ) {
        let history = if on == 1 { String::new() } else { format!("1\t{}\tx", Lsn(switch)) };
        let case = Case {
            end: Some(end(1, next * MIB, next * MIB + more)),
            followed: None,
            server: (on, server),
            history: history.leak(),
            slot,
            removed: removed.then_some((1, next * MIB)),
            in_recovery: false,
        };
        match case.choose() {
            Ok(start) => {
                prop_assert_eq!(start.position.0 % MIB, 0);
                if !start.notices.iter().any(|notice| matches!(notice, StartNotice::Gap { .. })) {
                    prop_assert!(start.position.0 <= next * MIB);
                    if start.timeline == timeline(2) {
                        prop_assert!(start.position.0 <= switch && switch <= next * MIB);
                    } else {
                        prop_assert_eq!(start.position.0, next * MIB);
                    }
                }
            }
            Err(_) => prop_assert!(on == 1 && next * MIB + more > server),
        }
    }
}
