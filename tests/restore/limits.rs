//! Recovery reaches its target although limits were raised after the backup. WAL with `wal_level =
//! minimal` is refused.

use super::after_recovery::{Rows, majors};
use super::scenario::{last_row, unique, wait_paused};
use crate::harness::{Cluster, Daemon, MAJORS, Scratch, installed};

const HIGH: &str = "max_connections = 90\nmax_worker_processes = 20\nmax_wal_senders = 12\n\
                    max_prepared_transactions = 7\nmax_locks_per_transaction = 128\n";
const LOW: &str = "max_connections = 40\nmax_worker_processes = 8\nmax_wal_senders = 8\n\
                   max_prepared_transactions = 0\nmax_locks_per_transaction = 64\n";

fn restart_with(rows: &mut Rows, conf: &str) {
    rows.cluster.configure(conf);
    rows.cluster.restart();
    rows.cluster.wait_streaming("pgmoneta");
}

fn limits(cluster: &Cluster) -> String {
    cluster.query_value(
        "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN \
         ('max_connections', 'max_locks_per_transaction', 'max_prepared_transactions', \
         'max_wal_senders', 'max_worker_processes')",
    )
}

#[test]
fn limits_that_were_raised_after_the_backup_do_not_stop_recovery() {
    for major in majors() {
        let mut rows = Rows::new(major, "");
        restart_with(&mut rows, HIGH);
        let insert = "INSERT INTO t VALUES (4) RETURNING txid_current()";
        let xid: i64 = rows.cluster.query_value(insert);
        restart_with(&mut rows, LOW);
        rows.cluster.execute("INSERT INTO t VALUES (5)");
        rows.cluster.wait_received("pgmoneta");

        let mut restored = rows.restore(&format!("xid={xid},action=pause"));
        restored.start();
        wait_paused(&restored);
        assert_eq!(last_row(&restored), "4", "{major}");
        restored.stop();

        let mut restored = rows.restore("current");
        restored.start();
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), "5", "{major}");
        assert_eq!(limits(&restored), "90 128 7 12 20", "{major}");
        // A standby needs these limits until the restored server is restarted.
        let standby = restored.follower(&rows.scratch, &unique("standby"));
        restored.execute("INSERT INTO t VALUES (6)");
        standby.wait_true("SELECT max(n) = 6 FROM t", 60);

        // If recovery ends before the change, the limits are not raised.
        let mut restored = rows.restore(&format!("time={}", rows.time));
        restored.start();
        restored.wait_primary(60);
        assert_eq!(limits(&restored), "40 64 0 8 8", "{major}");
    }
}

/// Limits on the command line are in no configuration file of the backup.
#[test]
fn limits_of_the_command_line_are_those_of_the_control_file() {
    for major in majors() {
        let scratch = Scratch::new("limits");
        let mut cluster = Cluster::builder(&scratch)
            .major(major)
            .create()
            .with("max_connections", "77")
            .with("max_locks_per_transaction", "99");
        cluster.start();
        let daemon = Daemon::builder(&scratch)
            .server("primary", &cluster)
            .start_streaming();
        daemon.backup("primary");
        let data = daemon.restore("primary", "newest", None, "r");
        let mut restored = Cluster::adopt(&scratch, major, data);
        restored.start();
        restored.wait_primary(60);
        assert_eq!(limits(&restored), "77 99 0 8 8", "{major}");
    }
}

#[test]
fn the_control_file_of_every_version_is_read() {
    for major in MAJORS {
        if installed(major).is_none() {
            continue;
        }
        let scratch = Scratch::new("control");
        let cluster = Cluster::builder(&scratch).major(major).create();
        let content = std::fs::read(cluster.data().join("global/pg_control")).unwrap();
        let parameters = pgmoneta::format::ControlFile::parse(&content)
            .unwrap()
            .parameters;
        assert_eq!(parameters.limits, [100, 8, 10, 0, 64], "{major}");
        assert_eq!(parameters.wal_level, 1, "{major}");
    }
}

#[test]
fn wal_of_a_server_with_wal_level_minimal_is_refused() {
    for major in majors() {
        let mut rows = Rows::new(major, "wal_keep_size = '512MB'");
        rows.daemon.stop();
        let slot = "SELECT pg_drop_replication_slot('pgmoneta')";
        rows.cluster.wait_true(
            "SELECT NOT active FROM pg_replication_slots WHERE slot_name = 'pgmoneta'",
            60,
        );
        rows.cluster.execute(slot);
        rows.cluster
            .configure("wal_level = minimal\nmax_wal_senders = 0");
        rows.cluster.restart();
        rows.cluster.execute("INSERT INTO t VALUES (4)");
        rows.cluster
            .configure("wal_level = replica\nmax_wal_senders = 8");
        rows.cluster.restart();
        rows.daemon.start();
        rows.cluster.wait_streaming("pgmoneta");
        rows.cluster.execute("INSERT INTO t VALUES (5)");
        rows.cluster.wait_received("pgmoneta");
        let output = rows
            .daemon
            .restore_output("primary", "newest", Some("current"), "refused");
        let output = output
            .fails(1, "wal_level = minimal")
            .fails(1, "last position that can be reached is lsn=");
        assert_eq!(
            std::fs::read_dir(rows.daemon.directory().join("refused"))
                .unwrap()
                .count(),
            0
        );
        // Recovery to the reported position works.
        let said = format!("{}{}", output.stdout, output.stderr);
        let position = said.split("is lsn=").nth(1).unwrap();
        let position = position.split_whitespace().next().unwrap();
        let mut restored = rows.restore(&format!("lsn={position}"));
        restored.start();
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), "3", "{major}");
        let mut restored = rows.restore(&format!("time={}", rows.time));
        restored.start();
        restored.wait_primary(60);
        assert_eq!(last_row(&restored), "2", "{major}");
    }
}
