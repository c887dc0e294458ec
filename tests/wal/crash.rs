//! The daemon is killed, or its disk fails, while WAL pours in: no gap, no acknowledged byte missing, nothing but the
//! server's bytes.
#![cfg(target_os = "linux")]

use std::time::Duration;

use super::setup::write_wal;
use crate::harness::{Cluster, Daemon, Faults, Load, Random, Reference, Scratch, wait_until};

struct Setup {
    cluster: Cluster,
    daemon: Daemon,
    faults: Faults,
    reference: Reference,
    random: Random,
    scratch: Scratch,
}

impl Setup {
    fn new(global: &str) -> Setup {
        let random = Random::new();
        let scratch = Scratch::new("wal-crash");
        let archive = scratch.directory("archive");
        let cluster = Cluster::builder(&scratch)
            .wal_segment_mib(1)
            .conf(&format!(
                "archive_mode = on\narchive_command = 'cp %p {0}/%f.new && mv {0}/%f.new {0}/%f'",
                archive.display()
            ))
            .start();
        let faults = Faults::new(&scratch, &scratch.join("moneta/repo"));
        let builder = Daemon::builder(&scratch)
            .global(global)
            .server("primary", &cluster);
        let daemon = faults.daemon(builder).start();
        cluster.wait_streaming("pgmoneta");
        Setup {
            reference: Reference::new(&cluster, &archive),
            cluster,
            daemon,
            faults,
            random,
            scratch,
        }
    }

    fn load(&self) -> Load {
        Load::start(&self.cluster, &self.scratch, 0, 2, Duration::from_millis(1))
    }

    fn pause(&mut self) {
        let millis = self.random.below(700);
        std::thread::sleep(Duration::from_millis(millis));
    }

    /// What the slot keeps of our last report.
    fn acknowledged(&self) -> String {
        let sql = "SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'pgmoneta'";
        self.cluster.sql(sql)
    }

    fn check(&mut self) {
        let acknowledged = self.acknowledged();
        self.reference
            .check(&self.daemon.wal("primary"), &acknowledged);
    }

    /// All that was written arrives in the end, and is right.
    fn finish(mut self, mut load: Load) {
        load.stop();
        self.cluster.wait_quiet();
        self.cluster.wait_received("pgmoneta");
        self.daemon.stop();
        self.reference.forget();
        self.check();
    }
}

#[test]
fn a_killed_daemon_goes_on_where_it_was() {
    for global in ["compression = zstd", "compression = none"] {
        let mut setup = Setup::new(global);
        let load = setup.load();
        for _ in 0..10 {
            write_wal(&setup.cluster, 2);
            setup.pause();
            setup.daemon.kill();
            setup.check();
            setup.daemon.start();
            setup.cluster.wait_streaming("pgmoneta");
        }
        let gone = setup.daemon.log().contains("in the archive; hint");
        assert!(!gone, "a gap was told: {}", setup.daemon.log());
        setup.finish(load);
    }
}

#[test]
fn a_disk_that_fails_now_and_then_costs_nothing_but_time() {
    let mut setup = Setup::new("compression = zstd");
    let load = setup.load();
    for round in 0..4 {
        for fault in ["sync", "full"] {
            setup.pause();
            setup.faults.on(fault);
            write_wal(&setup.cluster, 2);
            let what = format!("{fault} has failed");
            wait_until(&what, 30, || setup.faults.happened(fault));
            if round == 3 {
                // It is killed in the middle of the trouble.
                setup.daemon.kill();
                setup.faults.off(fault);
                setup.check();
                setup.daemon.start();
            } else {
                setup.faults.off(fault);
            }
            setup.cluster.wait_streaming("pgmoneta");
            setup.cluster.wait_received("pgmoneta");
        }
    }
    setup.finish(load);
}
