//! An archive has several branches of timelines: the receiver follows the server's history, and
//! keeps the other branches.

use std::collections::BTreeMap;
use std::fs;

use pgmoneta::status::Phase;
use pgmoneta::unit::Timeline;

use super::recovered::{Base, promote_again};
use super::setup::{Receiver, write_wal};
use crate::harness::{Cluster, Scratch, wait_until, write_owned};

const CREATE: &str = "create_slot = yes";
const CONF: &str = "wal_keep_size = '1GB'\nmax_wal_size = '1GB'\n";

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

fn small_cluster(scratch: &Scratch) -> Cluster {
    Cluster::builder(scratch)
        .wal_segment_mib(1)
        .conf(CONF)
        .start()
}

fn restore_point(cluster: &Cluster, name: &str) {
    cluster.execute(&format!("SELECT pg_create_restore_point('{name}')"));
}

/// The content of every file of the archive.
fn content(receiver: &Receiver) -> BTreeMap<String, Vec<u8>> {
    let names = receiver.names().into_iter();
    names
        .map(|name| {
            let bytes = fs::read(receiver.wal_path().join(&name)).unwrap();
            (name, bytes)
        })
        .collect()
}

/// The log lines with `text`.
fn logged_lines(receiver: &Receiver, text: &str) -> Vec<String> {
    let mut lines = receiver.log();
    lines.retain(|line| line.contains(text));
    lines
}

/// Receives from a cluster, and some more WAL, until all is archived.
fn follow(receiver: &mut Receiver, cluster: &Cluster, number: u32) {
    receiver.configure(cluster, "", CREATE);
    receiver.start();
    wait_until("the server's timeline is received", 60, || {
        let state = receiver.state();
        assert!(!matches!(state.phase, Phase::Alarm(_)), "{:?}", state.phase);
        state.timeline == Some(timeline(number)) && state.is_streaming()
    });
    write_wal(cluster, 2);
    receiver.wait_flushed(cluster);
    receiver.stop();
    assert!(receiver.compare_from(cluster, timeline(number)) >= 2);
    let followed = receiver.repository().followed_timeline().unwrap();
    assert_eq!(followed, Some(timeline(number)));
}

#[test]
fn every_recovery_is_followed_and_older_branches_are_kept() {
    let scratch = Scratch::new("wal-tree");
    let mut first = small_cluster(&scratch);
    let mut base = Base::of(&scratch, &mut first);
    let mut receiver = Receiver::new(&scratch, &first, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&first, 1);
    restore_point(&first, "one");
    restore_point(&first, "two");
    write_wal(&first, 3);
    restore_point(&first, "three");
    write_wal(&first, 1);
    receiver.wait_flushed(&first);
    receiver.stop();
    first.stop();

    let on_first =
        |name: &str| format!("recovery_target_name = '{name}'\nrecovery_target_timeline = '1'");
    let mut second = base.recover(&scratch, "r2", &on_first("one"));
    follow(&mut receiver, &second, 2);
    second.stop();
    let kept = content(&receiver);

    // Recovered again to a later point; the two diverge within a segment.
    let mut third = base.recover(&scratch, "r3", &on_first("two"));
    follow(&mut receiver, &third, 3);
    third.stop();
    let warned = logged_lines(&receiver, "does not descend from timeline 2");
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(
        warned[0].starts_with("WARN") && warned[0].contains("timeline 3"),
        "{warned:?}"
    );
    let archived = content(&receiver);
    let on_second = |name: &&String| name.starts_with("00000002");
    for name in kept.keys().filter(on_second) {
        assert!(kept[name] == archived[name], "{name}");
    }

    // Again, to a point after both.
    let mut fourth = base.recover(&scratch, "r4", &on_first("three"));
    follow(&mut receiver, &fourth, 4);
    fourth.stop();

    // Recovery targets timeline 4 but ends before its start: the positions in the history decrease.
    let settings = "recovery_target_name = 'two'\nrecovery_target_timeline = '4'";
    let fifth = base.recover(&scratch, "r5", settings);
    let history = fs::read_to_string(fifth.data().join("pg_wal/00000005.history")).unwrap();
    assert_eq!(
        history.lines().filter(|line| line.contains('\t')).count(),
        2,
        "{history}"
    );
    follow(&mut receiver, &fifth, 5);
    assert_eq!(receiver.state().gaps, Vec::<String>::new());
    assert!(
        logged_lines(&receiver, "ERROR")
            .iter()
            .all(|line| line.contains("the WAL is kept"))
    );
    let numbers: Vec<_> = receiver.wal().history_timelines().unwrap();
    assert_eq!(numbers, [2, 3, 4, 5].map(timeline));
    // Nothing is logged again at the next start.
    let before = receiver.log().len();
    receiver.start();
    receiver.wait_streaming();
    receiver.stop();
    assert_eq!(receiver.log().len(), before + 1, "{:?}", receiver.log());
}

#[test]
fn a_failback_is_followed_and_loses_no_wal() {
    let scratch = Scratch::new("wal-back");
    let mut primary = small_cluster(&scratch);
    let mut standby = primary.standby(&scratch, "standby");
    let mut receiver = Receiver::new(&scratch, &primary, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&primary, 2);
    receiver.wait_flushed(&primary);
    receiver.stop();
    standby.promote();
    follow(&mut receiver, &standby, 2);
    standby.stop();
    let kept = content(&receiver);

    follow(&mut receiver, &primary, 1);
    let warned = logged_lines(&receiver, "a failback");
    assert_eq!(warned.len(), 1, "{:?}", receiver.log());
    assert!(
        warned[0].starts_with("WARN") && warned[0].contains("timeline 1"),
        "{warned:?}"
    );
    assert!(
        warned[0].contains("timeline 2") && warned[0].contains("00000002.history"),
        "{warned:?}"
    );
    let archived = content(&receiver);
    for name in kept.keys().filter(|name| name.starts_with("00000002")) {
        assert!(kept[name] == archived[name], "{name}");
    }
    receiver.start();
    receiver.wait_streaming();
    receiver.stop();
    assert_eq!(logged_lines(&receiver, "a failback").len(), 1, "once");

    // As the hint says: the next promotion takes another timeline ID.
    let history = receiver.wal().history(timeline(2)).unwrap().unwrap();
    write_owned(&primary.data().join("pg_wal/00000002.history"), history);
    primary.configure("recovery_target_timeline = 'current'");
    promote_again(&mut primary);
    follow(&mut receiver, &primary, 3);
    assert_eq!(receiver.state().gaps, Vec::<String>::new());
}

#[test]
fn another_timeline_with_the_same_id_is_refused_and_nothing_is_written() {
    let scratch = Scratch::new("wal-number");
    let primary = small_cluster(&scratch);
    let one = primary.standby(&scratch, "one");
    let mut two = primary.standby(&scratch, "two");
    let mut receiver = Receiver::new(&scratch, &primary, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&primary, 1);
    receiver.wait_flushed(&primary);
    receiver.stop();
    one.promote();
    follow(&mut receiver, &one, 2);
    let kept = content(&receiver);
    let refused = |receiver: &mut Receiver, cluster: &Cluster| {
        receiver.configure(cluster, "", CREATE);
        receiver.start();
        let message = receiver.wait_alarm("is not the timeline 2 of the archive");
        receiver.stop();
        assert!(content(receiver) == kept, "{:?}", receiver.names());
        message
    };
    write_wal(&primary, 1);
    primary.wait_true(
        "SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = 'two' \
         AND replay_lsn = pg_current_wal_lsn()",
        60,
    );

    // The other standby is on timeline 2 as well, then on timeline 3 from its own timeline 2.
    two.promote();
    let message = refused(&mut receiver, &two);
    let switch = |cluster: &Cluster| {
        let history = fs::read_to_string(cluster.data().join("pg_wal/00000002.history")).unwrap();
        history.split('\t').nth(1).unwrap().to_owned()
    };
    for position in [switch(&one), switch(&two)] {
        assert!(
            message.contains(&format!("1 up to {position}")),
            "{message}"
        );
    }
    promote_again(&mut two);
    write_wal(&two, 1);
    let message = refused(&mut receiver, &two);
    for position in [switch(&one), switch(&two)] {
        assert!(
            message.contains(&format!("1 up to {position}")),
            "{message}"
        );
    }
    assert_eq!(two.count("pg_replication_slots"), 0);

    // The server that the archive follows is received again.
    follow(&mut receiver, &one, 2);
}

#[test]
fn a_refused_start_creates_no_slot() {
    let scratch = Scratch::new("wal-no-slot");
    let mut cluster = small_cluster(&scratch);
    let base = Base::of(&scratch, &mut cluster);
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 2);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    let mut older = base.copy(&scratch, "older");
    older.start();
    receiver.configure(&older, "", CREATE);
    receiver.start();
    let message = receiver.wait_alarm("the archive has it up to");
    assert_eq!(older.count("pg_replication_slots"), 0);
    receiver.stop();

    // It wrote other WAL on timeline 1, from which its new timeline branches.
    let kept = content(&receiver);
    promote_again(&mut older);
    receiver.start();
    receiver.wait_alarm("differs at");
    receiver.stop();
    assert!(content(&receiver) == kept, "{:?}", receiver.names());
    assert_eq!(older.count("pg_replication_slots"), 0);

    // As the hint says: the older state on a timeline of its own.
    assert!(message.contains("standby.signal"), "{message}");
    let mut again = base.copy(&scratch, "again");
    promote_again(&mut again);
    follow(&mut receiver, &again, 2);
}

#[test]
fn timelines_with_the_same_history_are_distinguished_by_their_wal() {
    let scratch = Scratch::new("wal-twins");
    let mut primary = small_cluster(&scratch);
    let one = primary.standby(&scratch, "one");
    let two = primary.standby(&scratch, "two");
    let mut receiver = Receiver::new(&scratch, &primary, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&primary, 1);
    receiver.wait_flushed(&primary);
    receiver.stop();
    // Both receive all WAL, and are promoted at the same position.
    primary.stop();
    one.promote();
    two.promote();
    let history =
        |cluster: &Cluster| fs::read(cluster.data().join("pg_wal/00000002.history")).unwrap();
    assert_eq!(history(&one), history(&two));
    follow(&mut receiver, &one, 2);
    write_wal(&two, 4);
    let refused = |receiver: &mut Receiver| {
        let kept = content(receiver);
        receiver.configure(&two, "", CREATE);
        receiver.start();
        let message = receiver.wait_alarm("differs at");
        receiver.stop();
        assert!(message.contains("is kept"), "{message}");
        assert!(content(receiver) == kept, "{:?}", receiver.names());
        assert_eq!(two.count("pg_replication_slots"), 0);
    };
    refused(&mut receiver);

    // Also if the archive ends with a complete segment after a segment switch.
    receiver.configure(&one, "", CREATE);
    receiver.start();
    receiver.wait_streaming();
    one.execute("SELECT pg_switch_wal()");
    receiver.wait_flushed(&one);
    receiver.stop();
    write_wal(&two, 2);
    refused(&mut receiver);
    follow(&mut receiver, &one, 2);
}
