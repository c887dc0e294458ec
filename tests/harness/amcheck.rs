//! Checks tables and indexes with `amcheck`.

use super::cluster::Cluster;

/// Checks every B-tree index against its table, and since PostgreSQL 14 every table, in every
/// database. The cluster must accept writes.
pub fn assert_sound(cluster: &Cluster) {
    for database in cluster.databases() {
        let mut client = cluster.connect(&database);
        client
            .batch_execute("CREATE EXTENSION IF NOT EXISTS amcheck")
            .unwrap();
        let indexes = client.query_one(
            "SELECT count(bt_index_check(c.oid, heapallindexed => true)) FROM pg_class c \
             JOIN pg_am a ON a.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid \
             WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' \
             AND i.indisready AND i.indisvalid",
            &[],
        );
        let indexes: i64 = indexes.unwrap().get(0);
        assert_ne!(indexes, 0, "no index was checked in {database}");
        if cluster.major() >= 14 {
            let problems = client.query(
                "SELECT c.oid::regclass::text, v.msg \
                 FROM pg_class c, LATERAL verify_heapam(c.oid) v \
                 WHERE c.relkind IN ('r', 't', 'm') AND c.relpersistence = 'p'",
                &[],
            );
            let problems: Vec<(String, String)> = problems
                .unwrap()
                .iter()
                .map(|row| (row.get(0), row.get(1)))
                .collect();
            assert!(problems.is_empty(), "amcheck in {database}: {problems:?}");
        }
    }
}
