//! What somebody takes away from the archive while it is received.

use std::fs;

use pgmoneta::unit::Lsn;

use super::setup::{Receiver, slot_flush, write_wal};
use crate::harness::{Cluster, Scratch, wait_until};

const CREATE: &str = "create_slot = yes";

#[test]
fn nothing_is_acknowledged_into_a_segment_that_is_not_in_the_archive_any_more() {
    let scratch = Scratch::new("wal-removed");
    let cluster = Cluster::builder(&scratch).start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    // An archive without any segment would be a lost one.
    cluster.sql("SELECT pg_switch_wal()");
    write_wal(&cluster, 1);
    for (how, said) in [
        ("removed", "not there any more"),
        ("replaced", "is not what was there"),
    ] {
        receiver.wait_flushed(&cluster);
        let path = receiver.wal_end().file.path;
        assert!(path.extension().is_some_and(|found| found == "partial"));
        if how == "removed" {
            fs::remove_file(&path).unwrap();
        } else {
            let copy = scratch.join("copy");
            fs::copy(&path, &copy).unwrap();
            fs::rename(&copy, &path).unwrap();
        }
        cluster.sql("CREATE TABLE IF NOT EXISTS later (n int)");
        cluster.sql("INSERT INTO later VALUES (1)");
        let end = cluster.sql("SELECT pg_current_wal_flush_lsn()");
        let end: Lsn = end.parse().unwrap();
        wait_until("the commit is acknowledged", 60, || {
            slot_flush(&cluster).is_some_and(|flushed| flushed >= end)
        });
        // The last bytes of a record may be zeros.
        let received = receiver.wal_end().received.advance(64);
        assert!(received >= end, "{how}: {received}, {end}");
        let log = receiver.log().join("\n");
        assert!(log.contains(said), "{log}");
    }
    receiver.wait_flushed(&cluster);
    receiver.stop();
    assert!(receiver.compare(&cluster) >= 1);
}
