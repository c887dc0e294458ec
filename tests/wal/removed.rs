//! Files that are removed from the archive while WAL is received.

use std::fs;

use pgmoneta::unit::Lsn;

use super::setup::{Receiver, flush_lsn, write_wal};
use crate::harness::{Cluster, Scratch, wait_until};

const CREATE: &str = "create_slot = yes";

#[test]
fn nothing_is_acknowledged_from_a_removed_or_replaced_segment() {
    let scratch = Scratch::new("wal-removed");
    let cluster = Cluster::builder(&scratch).start();
    let mut receiver = Receiver::new(&scratch, &cluster, "", CREATE).started();
    receiver.wait_streaming();
    write_wal(&cluster, 1);
    // An archive without a segment would count as lost.
    cluster.execute("SELECT pg_switch_wal()");
    write_wal(&cluster, 1);
    for (how, message) in [
        ("removed", "not there any more"),
        ("replaced", "is not the one that was there"),
    ] {
        receiver.wait_flushed(&cluster);
        let path = receiver.wal_end().file.path();
        assert!(path.extension().is_some_and(|found| found == "partial"));
        if how == "removed" {
            fs::remove_file(&path).unwrap();
        } else {
            let copy = scratch.join("copy");
            fs::copy(&path, &copy).unwrap();
            fs::rename(&copy, &path).unwrap();
        }
        cluster.execute("CREATE TABLE IF NOT EXISTS later (n int)");
        cluster.execute("INSERT INTO later VALUES (1)");
        let end = Lsn(cluster.flush_lsn().into());
        wait_until("the commit is acknowledged", 60, || {
            flush_lsn(&cluster).is_some_and(|flushed| flushed >= end)
        });
        // The last bytes of a record may be zeros.
        let received = receiver.wal_end().received.advance(64);
        assert!(received >= end, "{how}: {received}, {end}");
        let log = receiver.log().join("\n");
        assert!(log.contains(message), "{log}");
    }
    receiver.wait_flushed(&cluster);
    receiver.stop();
    assert!(receiver.compare(&cluster) >= 1);
}
