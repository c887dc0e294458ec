//! Checks tables and indexes with `amcheck`.

use super::cluster::Cluster;

/// Checks every B-tree index against its table, and since PostgreSQL 14 every table, in every
/// database. The cluster must accept writes.
pub fn assert_sound(cluster: &Cluster) {
    let databases = cluster.sql("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1");
    for database in databases.lines() {
        cluster.sql_in(database, "CREATE EXTENSION IF NOT EXISTS amcheck");
        let indexes = cluster.sql_in(
            database,
            "SELECT count(bt_index_check(c.oid, heapallindexed => true)) FROM pg_class c \
             JOIN pg_am a ON a.oid = c.relam JOIN pg_index i ON i.indexrelid = c.oid \
             WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence = 'p' \
             AND i.indisready AND i.indisvalid",
        );
        assert_ne!(indexes, "0", "no index was checked in {database}");
        if cluster.major() >= 14 {
            let problems = cluster.sql_in(
                database,
                "SELECT c.oid::regclass, v.* FROM pg_class c, LATERAL verify_heapam(c.oid) v \
                 WHERE c.relkind IN ('r', 't', 'm') AND c.relpersistence = 'p'",
            );
            assert_eq!(problems, "", "amcheck in {database}");
        }
    }
}
