//! An archive that lacks acknowledged WAL.

use std::collections::BTreeMap;
use std::fs;

use super::setup::{Receiver, write_wal};
use crate::harness::{Cluster, Scratch, wait_until};

const CREATE: &str = "create_slot = yes";

type Content = BTreeMap<String, Vec<u8>>;

fn content(receiver: &Receiver) -> Content {
    let path = receiver.wal_path();
    let names = receiver.names().into_iter();
    names
        .map(|name| (name.clone(), fs::read(path.join(name)).unwrap()))
        .collect()
}

fn replace_archive(receiver: &Receiver, content: &Content) {
    let path = receiver.wal_path();
    for name in receiver.names() {
        fs::remove_file(path.join(name)).unwrap();
    }
    for (name, bytes) in content {
        fs::write(path.join(name), bytes).unwrap();
    }
}

#[test]
fn an_older_copy_of_an_archive_is_continued_only_after_wal_begin() {
    let scratch = Scratch::new("wal-copy");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf("min_wal_size = 2MB\nmax_wal_size = 4MB")
        .start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 2);
    receiver.wait_flushed(&cluster);
    receiver.stop();
    let (older, end) = (content(&receiver), receiver.wal_end());
    receiver.start();
    receiver.wait_streaming();
    write_wal(&cluster, 4);
    receiver.wait_flushed(&cluster);
    cluster.wait_received("pgmoneta");
    receiver.stop();
    let newer = content(&receiver);
    let last = end.file.segment.name(receiver.wal().segment_size());
    wait_until("the server has removed what the copy lacks", 60, || {
        cluster.execute("CHECKPOINT");
        !cluster.data().join("pg_wal").join(&last).exists()
    });

    replace_archive(&receiver, &older);
    let restart_lsn = cluster.restart_lsn();
    receiver.start();
    let message = receiver.wait_alarm("pgmoneta-cli wal begin");
    assert!(message.contains("mounted"), "{message}");
    write_wal(&cluster, 1);
    receiver.stop();
    assert_eq!(cluster.restart_lsn(), restart_lsn);
    assert!(content(&receiver) == older, "{:?}", receiver.names());

    // The right archive continues at its end.
    replace_archive(&receiver, &newer);
    receiver.start();
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    receiver.wait_flushed(&cluster);
    cluster.wait_received("pgmoneta");
    assert_eq!(receiver.state().gaps, Vec::<String>::new());
    receiver.stop();

    // If there is no other archive, an operator runs `wal begin`.
    replace_archive(&receiver, &older);
    receiver.start();
    receiver.wait_alarm("pgmoneta-cli wal begin");
    receiver.begin();
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    receiver.wait_flushed(&cluster);
    wait_until("the gap is in the status", 60, || {
        receiver.state().gaps.len() == 1
    });
    receiver.stop();

    // An unused slot does not mean that no WAL was received before.
    replace_archive(&receiver, &Content::new());
    cluster.execute("SELECT pg_drop_replication_slot('pgmoneta')");
    cluster.execute("SELECT pg_create_physical_replication_slot('pgmoneta')");
    receiver.start();
    receiver.wait_alarm("pgmoneta-cli wal begin");
    assert_eq!(receiver.names(), Vec::<String>::new());
}
