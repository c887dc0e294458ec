//! WAL that is lost during a backup.
#![cfg(target_os = "linux")]

use std::process::Stdio;

use crate::harness::{
    Call, Cluster, Daemon, Faults, Process, REPLICATION_USER, Scratch, StoppedWalSender, wait_until,
};

/// A daemon whose backup has ended on the server and waits for its WAL, of which a part was
/// received.
struct Waiting {
    daemon: Daemon,
    backup: Process,
    held: Option<StoppedWalSender>,
    /// The name of the segment.
    segment: String,
}

impl Waiting {
    fn new(scratch: &Scratch, cluster: &Cluster, meanwhile: impl FnOnce()) -> Waiting {
        let below = scratch.join("moneta/repo/primary/basebackup");
        let faults = Faults::new(scratch, &below);
        let builder =
            Daemon::builder(scratch).server_with("primary", cluster, "wal_receiver_timeout = 600s");
        let daemon = faults.daemon(builder).start_streaming();
        faults.steps.hold_at("", Call::Create, 20);
        let mut backup = daemon.cli_command(&["backup", "primary"]);
        let backup = backup.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let backup = Process::new(backup.unwrap(), "backup");
        faults.steps.wait_reached();
        cluster.execute("CREATE TABLE t (n int)");
        cluster.wait_received("pgmoneta");
        meanwhile();
        let held = Some(StoppedWalSender::stop(cluster, "pgmoneta"));
        let newest = "SELECT pg_walfile_name(pg_current_wal_insert_lsn())";
        let segment: String = cluster.query_value(newest);
        faults.steps.release();
        cluster.wait_true(&format!("SELECT ({newest}) > '{segment}'"), 60);
        Waiting {
            daemon,
            backup,
            held,
            segment,
        }
    }

    fn fails(mut self, why: &str) {
        assert_eq!(self.backup.wait(150).code(), Some(1));
        let log = self.daemon.log();
        assert!(log.contains(why), "{log}");
        assert_eq!(self.daemon.labels("primary"), Vec::<String>::new());
    }
}

fn cluster(scratch: &Scratch) -> Cluster {
    let builder = Cluster::builder(scratch).wal_segment_mib(1);
    let conf = "autovacuum = off\nmin_wal_size = 2MB\nmax_wal_size = 4MB";
    builder.conf(conf).start()
}

#[test]
fn a_backup_fails_if_a_part_of_its_wal_is_lost() {
    let scratch = Scratch::new("lostpart");
    let cluster = cluster(&scratch);
    let mut waiting = Waiting::new(&scratch, &cluster, || ());
    cluster.execute(&format!("ALTER ROLE {REPLICATION_USER} NOLOGIN"));
    cluster.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots");
    drop(waiting.held.take());
    cluster.wait_true("SELECT NOT active FROM pg_replication_slots", 60);
    cluster.execute("SELECT pg_drop_replication_slot('pgmoneta')");
    let segment = cluster.data().join("pg_wal").join(&waiting.segment);
    wait_until("the server has removed it", 60, || {
        cluster.execute("CHECKPOINT");
        !segment.exists()
    });
    cluster.execute(&format!("ALTER ROLE {REPLICATION_USER} LOGIN"));
    waiting.fails("the archive has only a part of it");
}

#[test]
fn a_backup_fails_if_a_failover_loses_its_end() {
    let scratch = Scratch::new("failover");
    let mut primary = cluster(&scratch);
    let mut standby = primary.standby(&scratch, "standby");
    let mut waiting = Waiting::new(&scratch, &primary, || standby.stop());
    // The standby did not get the end of the backup.
    primary.kill();
    drop(waiting.held.take());
    let mut standby =
        Cluster::adopt(&scratch, primary.major(), standby.data()).in_place_of(&primary);
    standby.start();
    standby.promote();
    for _ in 0..2 {
        standby.execute("CREATE TABLE IF NOT EXISTS later (n int)");
        standby.execute("SELECT pg_switch_wal()");
    }
    waiting.fails("the server is on timeline 2 now");
}
