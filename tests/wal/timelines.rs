//! The receiver follows a cluster from timeline to timeline.

use std::fs;

use pgmoneta::unit::{Lsn, Timeline};

use super::recovered::promote_again;
use super::relay::Relay;
use super::setup::{Receiver, flush_lsn, write_wal};
use crate::harness::{Cluster, Scratch, wait_until};

const CREATE: &str = "create_slot = yes";
const CONF: &str = "wal_keep_size = '1GB'\nmax_wal_size = '1GB'\n";

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

#[test]
fn a_promoted_standby_is_followed_without_interruption() {
    let scratch = Scratch::new("wal-promote");
    let mut primary = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(CONF)
        .start();
    let standby = primary.standby(&scratch, "standby");
    // From the standby, before and after its promotion.
    let mut receiver = Receiver::new(&scratch, &standby, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&primary, 3);
    receiver.wait_flushed(&standby);
    assert_eq!(receiver.state().in_recovery, Some(true));
    primary.stop();
    standby.promote();
    wait_until("the new timeline is received", 60, || {
        receiver.state().timeline == Some(timeline(2))
    });
    assert_eq!(receiver.state().in_recovery, Some(false));
    write_wal(&standby, 3);
    receiver.wait_flushed(&standby);
    cluster_received(&standby);
    receiver.stop();
    let names = receiver.names();
    assert!(names.contains(&"00000002.history".to_owned()), "{names:?}");
    let theirs = fs::read(standby.data().join("pg_wal/00000002.history")).unwrap();
    assert_eq!(
        receiver.wal().history(timeline(2)).unwrap().unwrap(),
        theirs
    );
    let old = names.iter().rfind(|name| name.starts_with("00000001"));
    assert!(old.unwrap().ends_with(".partial"), "{names:?}");
    assert!(receiver.compare(&standby) >= 6);
    let log = receiver.log();
    assert!(
        !log.iter()
            .any(|line| line.starts_with("WARN") || line.starts_with("ERROR")),
        "{log:?}"
    );

    // All WAL of the old timeline up to the switch point is archived.
    let history = String::from_utf8(theirs).unwrap();
    let switch: Lsn = history.split('\t').nth(1).unwrap().parse().unwrap();
    let size = receiver.wal().segment_size();
    let number = switch.0 / size.bytes();
    let read = |timeline: u32| {
        let segment = pgmoneta::unit::Segment {
            timeline: Timeline::new(timeline).unwrap(),
            number,
        };
        fs::read(receiver.wal().find(segment).unwrap().unwrap().path()).unwrap()
    };
    let length = usize::try_from(size.offset(switch)).unwrap();
    assert!(read(1)[..length] == read(2)[..length]);
}

#[test]
fn two_promotions_while_the_receiver_is_stopped_are_followed() {
    let scratch = Scratch::new("wal-twice");
    let mut cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(CONF)
        .start();
    let mut receiver = Receiver::new(&scratch, &cluster, "compression = zstd", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 2);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    for _ in 0..2 {
        write_wal(&cluster, 2);
        promote_again(&mut cluster);
    }
    write_wal(&cluster, 2);
    receiver.start();
    wait_until("the last timeline is received", 60, || {
        receiver.state().timeline == Some(timeline(3))
    });
    receiver.wait_flushed(&cluster);
    receiver.wait_sealed();
    receiver.stop();
    assert_eq!(
        receiver.wal().history_timelines().unwrap(),
        [timeline(2), timeline(3)]
    );
    assert!(receiver.compare(&cluster) >= 6);
    assert_eq!(receiver.state().gaps, Vec::<String>::new());

    // Once more while the receiver is connected: the cluster restarts meanwhile.
    receiver.start();
    receiver.wait_streaming();
    promote_again(&mut cluster);
    write_wal(&cluster, 2);
    wait_until("the next timeline is received", 60, || {
        receiver.state().timeline == Some(timeline(4))
    });
    receiver.wait_flushed(&cluster);
    receiver.wait_sealed();
    receiver.stop();
    receiver.compare(&cluster);
}

#[test]
fn timeline_ids_from_10_have_upper_case_file_names() {
    let scratch = Scratch::new("wal-ten");
    let mut cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(CONF)
        .start();
    for _ in 0..9 {
        promote_again(&mut cluster);
    }
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    receiver.start();
    receiver.wait_streaming();
    receiver.stop();
    let names = receiver.names();
    assert!(names.contains(&"0000000A.history".to_owned()), "{names:?}");
    assert!(
        names.iter().any(|name| name.starts_with("0000000A0000")),
        "{names:?}"
    );
    assert!(names.contains(&"00000002.history".to_owned()), "{names:?}");
    receiver.compare(&cluster);
}

#[test]
fn independently_promoted_standbys_are_not_mixed() {
    let scratch = Scratch::new("wal-apart");
    let primary = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(CONF)
        .start();
    let one = primary.standby(&scratch, "one");
    let two = primary.standby(&scratch, "two");
    write_wal(&primary, 1);
    primary.wait_true(
        "SELECT count(*) = 2 FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()",
        60,
    );
    one.promote();
    write_wal(&primary, 1);
    primary.wait_true(
        "SELECT count(*) = 1 FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()",
        60,
    );
    two.promote();
    write_wal(&one, 1);
    write_wal(&two, 3);
    let mut receiver = Receiver::new(&scratch, &one, "", CREATE).started();
    receiver.wait_streaming();
    receiver.wait_flushed(&one);
    receiver.stop();
    receiver.configure(&two, "", CREATE);
    receiver.start();
    let message = receiver.wait_alarm("is not the timeline 2 of the archive");
    assert!(message.contains("promoted independently"), "{message}");
}

#[test]
fn wal_beyond_a_failover_is_kept_and_logged() {
    let scratch = Scratch::new("wal-behind");
    let mut primary = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(CONF)
        .start();
    let mut standby = primary.standby(&scratch, "standby");
    let mut receiver = Receiver::new(&scratch, &primary, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&primary, 2);
    receiver.wait_flushed(&primary);
    standby.execute("SELECT pg_create_physical_replication_slot('pgmoneta', true)");
    // The standby does not receive the last WAL.
    standby.stop();
    write_wal(&primary, 3);
    let end = receiver.wait_flushed(&primary);
    receiver.stop();
    primary.kill();
    standby.start();
    standby.promote();
    receiver.configure(&standby, "", CREATE);
    receiver.start();
    wait_until("the new timeline is received", 60, || {
        receiver.state().timeline == Some(timeline(2))
    });
    write_wal(&standby, 1);
    receiver.wait_flushed(&standby);
    let log = receiver.log();
    let logged = log.iter().find(|line| line.contains("left timeline 1"));
    assert!(logged.unwrap().starts_with("ERROR"), "{log:?}");
    receiver.stop();
    let left = receiver.wal().segments().unwrap();
    let last = left
        .iter()
        .rfind(|file| file.segment.timeline == timeline(1))
        .unwrap();
    assert!(
        last.segment.end(receiver.wal().segment_size()) >= end,
        "the WAL is kept"
    );
    // The standby has other bytes after the switch.
    assert!(receiver.compare_from(&standby, timeline(2)) >= 1);
}

fn cluster_received(cluster: &Cluster) {
    cluster.wait_received("pgmoneta");
}

#[test]
fn a_timeline_is_not_left_before_all_its_wal_is_received() {
    let scratch = Scratch::new("wal-short");
    let mut cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(CONF)
        .start();
    let relay = Relay::new(&scratch, &cluster, 1 << 20);
    let mut receiver = Receiver::at(&scratch, relay.sockets(), &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    // The switch is in the segment after the one that is open here.
    cluster.execute("SELECT pg_switch_wal()");
    promote_again(&mut cluster);
    relay.drop_wal(true);
    receiver.start();
    wait_until("the missing end is logged", 60, || {
        receiver.log().join("\n").contains("ended timeline 1 at")
    });
    relay.drop_wal(false);
    wait_until("the new timeline is received", 60, || {
        receiver.state().timeline == Some(timeline(2))
    });
    receiver.wait_flushed(&cluster);
    receiver.stop();
    receiver.compare(&cluster);
}

#[test]
fn a_history_file_with_fewer_entries_than_the_servers_is_stored_again() {
    let scratch = Scratch::new("wal-less");
    let mut cluster = Cluster::builder(&scratch).wal_segment_mib(1).start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    receiver.wait_flushed(&cluster);
    receiver.stop();
    promote_again(&mut cluster);
    promote_again(&mut cluster);
    let names = ["00000002.history", "00000003.history"];
    let all = names.map(|name| fs::read(cluster.data().join("pg_wal").join(name)).unwrap());
    let begins = all[1].iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for content in [&all[1][begins..], b""] {
        for name in names {
            let less = if name == names[1] { content } else { b"" };
            fs::write(receiver.wal_path().join(name), less).unwrap();
        }
        receiver.start();
        wait_until("the third timeline is received", 60, || {
            receiver.state().timeline == Some(timeline(3)) && receiver.state().is_streaming()
        });
        receiver.stop();
        let stored = names.map(|name| fs::read(receiver.wal_path().join(name)).unwrap());
        assert!(stored == all, "{stored:?}");
    }
}

#[test]
fn commits_after_a_timeline_switch_do_not_wait_for_wal_of_the_old_timeline() {
    let scratch = Scratch::new("wal-wait");
    let mut primary = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(CONF)
        .start();
    let mut standby = primary.standby(&scratch, "standby");
    standby.stop();
    primary.execute("CREATE TABLE reached (n int)");
    let target = primary.flush_lsn();
    standby.configure(&format!(
        "recovery_target_lsn = '{target}'\nrecovery_target_action = pause"
    ));
    standby.start();
    standby.wait_true("SELECT pg_is_wal_replay_paused()", 60);
    let receiver = Receiver::new(&scratch, &standby, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&primary, 1);
    let left = primary.flush_lsn();
    let acknowledged = format!("SELECT restart_lsn >= '{left}' FROM pg_replication_slots");
    standby.wait_true(&acknowledged, 60);
    primary.stop();
    // The standby is promoted before the end of the WAL that it and the receiver have.
    standby.execute("SELECT pg_wal_replay_resume()");
    standby.wait_primary(60);
    wait_until("the new timeline is received", 60, || {
        receiver.state().timeline == Some(timeline(2))
    });
    standby.execute("CREATE TABLE committed (n int)");
    let end = standby.flush_lsn();
    assert!(end < left, "{end}, {left}");
    let end = Lsn(end.into());
    wait_until("the commit is acknowledged", 60, || {
        flush_lsn(&standby).is_some_and(|flushed| flushed >= end)
    });
}
