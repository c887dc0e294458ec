//! The test data for backup and commit benchmarks.

use crate::harness::{Cluster, Scratch, client, user};

/// `pgbench -i -s 100`, and a table of 5,000,000 rows of text that compresses little, with two
/// indexes: 2.9 GB.
pub fn cluster(scratch: &Scratch) -> Cluster {
    eprintln!("creating the test data");
    let mut cluster = Cluster::builder(scratch)
        .conf("shared_buffers = 512MB\nmax_wal_size = 8GB\nautovacuum = off")
        .start();
    let mut pgbench = user().command(client("pgbench"));
    pgbench.args(["-i", "-q", "-s", "100", "-U", "postgres", "-h"]);
    pgbench.arg(cluster.sockets());
    pgbench.args(["-p", &cluster.port().to_string(), "postgres"]);
    let output = pgbench.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    for statement in [
        "create table docs as select i as id, md5(i::text) || md5((7 * i)::text) || repeat(chr(97 \
         + i % 26), i % 49) as body, now() + i * interval '1 second' as at, random() as score \
         from generate_series(1, 5000000) i",
        "create index on docs (body)",
        "create index on docs (id)",
        "vacuum freeze analyze",
        "checkpoint",
    ] {
        cluster.execute(statement);
    }
    // Only now durable: for the commit latency, and because pgBackRest requires it.
    cluster.configure("fsync = on");
    cluster.restart();
    cluster
}
