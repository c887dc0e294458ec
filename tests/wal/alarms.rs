//! Alarms: errors that need an operator are logged once, with a hint, and retried meanwhile.

use std::fs;

use pgmoneta::status::Phase;

use super::recovered::copy_tree;
use super::setup::{Receiver, write_wal};
use crate::harness::{Cluster, Scratch, client, user, wait_until};

const CREATE: &str = "create_slot = yes";

#[test]
fn a_missing_slot_is_created_only_if_configured() {
    let scratch = Scratch::new("wal-slot");
    let cluster = Cluster::builder(&scratch).start();
    let receiver = Receiver::new(&scratch, &cluster, "", "create_slot = no").started();
    let message = receiver.wait_alarm("has no replication slot \"pgmoneta\"");
    assert!(message.contains("SELECT pg_create_physical_replication_slot('pgmoneta', true)"));
    let errors = || {
        receiver
            .log()
            .iter()
            .filter(|line| line.starts_with("ERROR"))
            .count()
    };
    assert_eq!(errors(), 1);
    cluster.execute("SELECT pg_create_physical_replication_slot('pgmoneta', true)");
    receiver.wait_streaming();
    assert_eq!(errors(), 1, "{:?}", receiver.log());
    assert!(
        receiver
            .log()
            .last()
            .unwrap()
            .contains("streaming WAL again")
    );
}

#[test]
fn a_logical_slot_is_refused() {
    let scratch = Scratch::new("wal-logical");
    let cluster = Cluster::builder(&scratch)
        .conf("wal_level = logical")
        .start();
    if cluster
        .try_execute("SELECT pg_create_logical_replication_slot('pgmoneta', 'test_decoding')")
        .is_err()
    {
        cluster.execute("SELECT pg_create_logical_replication_slot('pgmoneta', 'pgoutput')");
    }
    let receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_alarm("is a logical slot");
}

#[test]
fn a_slot_in_use_is_retried() {
    let scratch = Scratch::new("wal-busy");
    let cluster = Cluster::builder(&scratch).start();
    cluster.execute("SELECT pg_create_physical_replication_slot('pgmoneta', true)");
    let mut other = user().command(client("pg_receivewal"));
    other
        .args(["-n", "-S", "pgmoneta", "-U", "postgres", "-h"])
        .arg(cluster.sockets())
        .args(["-p", &cluster.port().to_string(), "-D"])
        .arg(scratch.directory("other"));
    let mut other = other.spawn().unwrap();
    cluster.wait_true("SELECT active FROM pg_replication_slots", 30);
    let receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    wait_until(
        "the slot is found in use",
        30,
        || matches!(receiver.state().phase, Phase::Reconnecting(why) if why.contains("is active")),
    );
    let message = receiver.wait_alarm("is active");
    assert!(
        message.contains("every receiver needs a slot of its own"),
        "{message}"
    );
    other.kill().unwrap();
    other.wait().unwrap();
    // WAL that the other receiver got is not in this archive.
    receiver.wait_alarm("was used before");
    receiver.begin();
    receiver.wait_streaming();
}

#[test]
fn a_lost_slot_is_an_alarm_and_a_new_slot_continues_after_the_gap() {
    let scratch = Scratch::new("wal-lost");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(
            "max_slot_wal_keep_size = 1MB\nmax_wal_size = 2MB\nmin_wal_size = 2MB\n\
             checkpoint_timeout = 30s",
        )
        .start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 2);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    wait_until("the slot is lost", 60, || {
        write_wal(&cluster, 4);
        cluster.execute("CHECKPOINT");
        cluster.query_value("SELECT wal_status = 'lost' FROM pg_replication_slots")
    });
    receiver.start();
    let message = receiver.wait_alarm("is lost");
    assert!(
        message.contains("SELECT pg_drop_replication_slot('pgmoneta')"),
        "{message}"
    );
    assert!(message.contains("take a full backup"), "{message}");
    let before = receiver.wal_end();

    // As the hint says.
    cluster.execute("SELECT pg_drop_replication_slot('pgmoneta')");
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    receiver.wait_flushed(&cluster);
    wait_until("the gap is in the status", 30, || {
        !receiver.state().gaps.is_empty()
    });
    let gaps = receiver.state().gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].contains(&before.next.to_string()), "{gaps:?}");
    assert!(
        receiver
            .log()
            .iter()
            .any(|line| line.contains("is lost, the server has removed it"))
    );
    let kept =
        before.file.path().exists() || receiver.wal().find(before.file.segment).unwrap().is_some();
    assert!(kept, "what was received stays");

    // The next start finds the gap again.
    receiver.stop();
    receiver.start();
    receiver.wait_streaming();
    wait_until("the gap is found again", 30, || {
        receiver.state().gaps == gaps
    });
}

#[test]
fn another_cluster_is_refused() {
    let scratch = Scratch::new("wal-ident");
    let first = Cluster::builder(&scratch).name("one").start();
    let second = Cluster::builder(&scratch)
        .name("two")
        .own_identity()
        .start();
    let mut receiver = Receiver::new(&scratch, &first, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&first, 1);
    receiver.wait_flushed(&first);
    receiver.stop();
    let names = receiver.names();
    receiver.configure(&second, "", CREATE);
    receiver.start();
    receiver.wait_alarm("is another cluster");
    receiver.stop();
    assert_eq!(receiver.names(), names);
    assert_eq!(second.count("pg_replication_slots"), 0);
}

#[test]
fn a_server_reset_to_an_older_state_is_refused_and_nothing_is_overwritten() {
    let scratch = Scratch::new("wal-older");
    let mut cluster = Cluster::builder(&scratch).start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 2);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    cluster.stop();
    let copy = scratch.join("copy");
    copy_tree(cluster.data(), &copy);
    cluster.start();
    receiver.start();
    receiver.wait_streaming();
    write_wal(&cluster, 2);
    let end = receiver.wait_flushed(&cluster);
    receiver.stop();
    cluster.stop();
    fs::remove_dir_all(cluster.data()).unwrap();
    copy_tree(&copy, cluster.data());
    let content = || -> Vec<Vec<u8>> {
        let names = receiver.names();
        let read = |name: &String| fs::read(receiver.wal_path().join(name)).unwrap();
        names.iter().map(read).collect()
    };
    let archived = content();
    cluster.start();
    receiver.start();
    let message = receiver.wait_alarm("the archive has it up to");
    assert!(message.contains("nothing is overwritten"), "{message}");
    // It writes other WAL of the same timeline, beyond the archive's end.
    while u64::from(cluster.flush_lsn()) <= end.0 {
        write_wal(&cluster, 1);
    }
    let message = receiver.wait_alarm("differs at");
    assert!(message.contains("is kept"), "{message}");
    let acknowledged: u64 = cluster.restart_lsn().into();
    assert!(acknowledged < end.0, "clients may wait for it");
    receiver.stop();
    let names = receiver.names();
    let read = |name: &String| fs::read(receiver.wal_path().join(name)).unwrap();
    assert!(names.iter().map(read).eq(archived), "{names:?}");
}

#[test]
fn missing_replication_privilege_and_minimal_wal_level_are_alarms() {
    let scratch = Scratch::new("wal-role");
    let cluster = Cluster::builder(&scratch).start();
    cluster.execute("ALTER ROLE repl NOREPLICATION");
    let receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    let message = receiver.wait_alarm("eplication");
    assert!(message.contains("ALTER ROLE"), "{message}");
    drop(receiver);

    let minimal = Cluster::builder(&scratch)
        .name("minimal")
        .conf("wal_level = minimal\nmax_wal_senders = 0")
        .start();
    let receiver = Receiver::new(&scratch, &minimal, "", CREATE).started();
    let message = receiver.wait_alarm("wal_level is minimal");
    assert!(message.contains("wal_level = replica"), "{message}");
}
