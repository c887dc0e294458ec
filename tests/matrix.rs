//! Every supported major version: a backup under load, recovery to a time and to the end of the
//! WAL. Each restored cluster is started and compared with the source row by row; its data
//! checksums and indexes are checked. Each version has another compression or encryption.

use std::time::Duration;

use super::harness::{Cluster, Daemon, Load, Scratch, assert_sound, check_pages, installed};

#[test]
fn postgresql_13() {
    round_trip(13, "compression = none");
}

#[test]
fn postgresql_14() {
    round_trip(14, "compression = gzip");
}

#[test]
fn postgresql_15() {
    round_trip(15, "compression = lz4");
}

#[test]
fn postgresql_16() {
    round_trip(16, "compression = zstd\nencryption = aes-256-gcm");
}

#[test]
fn postgresql_17() {
    round_trip(17, "compression = bzip2\nencryption = aes-128-gcm");
}

#[test]
fn postgresql_18() {
    round_trip(18, "compression = zstd");
}

fn round_trip(major: u32, storage: &str) {
    if installed(major).is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "PostgreSQL {major} is missing"
        );
        eprintln!("PostgreSQL {major} is missing: its backup and recovery were not tested");
        return;
    }
    let scratch = Scratch::new("matrix");
    let cluster = Cluster::builder(&scratch)
        .major(major)
        .template_databases()
        .start();
    let daemon = Daemon::builder(&scratch)
        .global(storage)
        .server("primary", &cluster)
        .start_streaming();
    fill(&scratch, &cluster);

    let load = Load::start(&cluster, 0, 2, Duration::from_millis(5));
    load.wait_begun(&cluster, 0);
    let label = daemon.backup("primary");
    daemon.cli(&["verify", "primary", &label]).ok();
    load.stop();
    cluster.wait_quiet();
    cluster
        .execute("INSERT INTO facts SELECT g, 'after the backup' FROM generate_series(1, 1000) g");
    let before = cluster.fingerprint();
    let time = cluster.clock();
    cluster.execute("DROP TABLE facts; DELETE FROM spread WHERE n % 2 = 0");
    let after = cluster.fingerprint();
    cluster.wait_received("pgmoneta");
    assert_ne!(before, after);

    let position = format!("time={time}");
    let data = daemon.restore("primary", "newest", Some(&position), "moment");
    assert_same(&scratch, major, &data, &before);
    let data = daemon.restore("primary", "newest", Some("current"), "current");
    assert_same(&scratch, major, &data, &after);
}

/// Creates objects of several kinds: short and long rows, TOAST, a tablespace, another database,
/// indexes, a large object, a sequence.
fn fill(scratch: &Scratch, cluster: &Cluster) {
    let tablespace = scratch.directory("tablespace");
    cluster.execute(&format!(
        "CREATE TABLESPACE elsewhere LOCATION '{}'",
        tablespace.display()
    ));
    cluster.execute("CREATE DATABASE other");
    let other = cluster.connect("other").batch_execute(
        "CREATE TABLE t (n serial PRIMARY KEY, x text); \
         INSERT INTO t (x) SELECT 'x' FROM generate_series(1, 500)",
    );
    other.unwrap();
    for sql in [
        "CREATE TABLE facts (n int, what text)",
        "INSERT INTO facts SELECT g, 'before the backup' FROM generate_series(1, 1000) g",
        "CREATE TABLE long AS SELECT g AS n, (SELECT string_agg(md5((g * i)::text), '') FROM \
         generate_series(1, 300) i) AS x FROM generate_series(1, 50) g",
        "ALTER TABLE long ADD PRIMARY KEY (n)",
        "CREATE TABLE spread TABLESPACE elsewhere AS SELECT g AS n, repeat('s', g % 200) AS x \
         FROM generate_series(1, 20000) g",
        "CREATE UNIQUE INDEX ON spread (n) TABLESPACE elsewhere",
        "CREATE INDEX ON spread USING gin (to_tsvector('simple', x))",
        "CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS n",
        "CREATE TABLE empty (n int PRIMARY KEY)",
        "SELECT lo_from_bytea(4711, 'a large object')",
    ] {
        cluster.execute(sql);
    }
}

/// Starts a restored cluster and compares it with the fingerprint of the source.
fn assert_same(scratch: &Scratch, major: u32, data: &std::path::Path, fingerprint: &str) {
    let mut restored = Cluster::adopt(scratch, major, data);
    restored.start();
    restored.wait_primary(120);
    assert_eq!(restored.fingerprint(), fingerprint);
    assert_eq!(
        restored.query_value::<Vec<u8>>("SELECT lo_get(4711)"),
        b"a large object"
    );
    assert_eq!(restored.count("unlogged"), 0);
    assert_sound(&restored);
    restored.execute("INSERT INTO spread VALUES (-1, 'writable')");
    restored.stop();
    let pages = check_pages(data);
    assert!(pages.checked > 1000 && pages.bad.is_empty(), "{pages:?}");
}
