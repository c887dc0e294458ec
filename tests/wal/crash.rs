//! The daemon is killed at any file system call while it receives and seals WAL, or its disk fails:
//! no gap, no acknowledged WAL missing, and the archive matches the server.
#![cfg(target_os = "linux")]

use std::time::Duration;

use super::setup::write_wal;
use crate::harness::{Call, Cluster, Daemon, Faults, Load, Random, Reference, Scratch, wait_until};

/// A part of the paths of the archive's files.
const WAL: &str = "/primary/wal";

struct Setup {
    cluster: Cluster,
    daemon: Daemon,
    faults: Faults,
    reference: Reference,
    random: Random,
    _scratch: Scratch,
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
        let daemon = faults.daemon(builder).start_streaming();
        Setup {
            reference: Reference::new(&cluster, &archive),
            cluster,
            daemon,
            faults,
            random,
            _scratch: scratch,
        }
    }

    fn load(&self) -> Load {
        Load::start(&self.cluster, 0, 2, Duration::from_millis(1))
    }

    /// Counts the calls of each kind while some segments are received and sealed.
    fn count(&self) -> [u64; Call::ALL.len()] {
        self.faults.steps.count(WAL);
        write_wal(&self.cluster, 3);
        self.cluster.wait_received("pgmoneta");
        wait_until("segments are prepared and sealed", 30, || {
            self.faults.steps.counted()[Call::Rename as usize] >= 4
        });
        self.faults.steps.counted()
    }

    /// Writes WAL until the daemon is killed at a call, of a random kind and at a random distance.
    fn kill(&mut self, counted: &[u64; Call::ALL.len()]) -> Call {
        let calls = Call::ALL.map(|call| (call, counted[call as usize]));
        let calls: Vec<_> = calls.into_iter().filter(|(_, count)| *count > 0).collect();
        let (call, count) = calls[self.random.below(calls.len() as u64) as usize];
        let number = 1 + self.random.below(count);
        self.faults.steps.kill_at(WAL, call, number);
        wait_until("the daemon is killed", 60, || {
            write_wal(&self.cluster, 1);
            !self.daemon.is_running()
        });
        assert!(self.faults.steps.reached(), "{}", self.daemon.log());
        self.daemon.kill();
        self.faults.steps.release();
        call
    }

    /// Waits until the daemon has written some more.
    fn wait_received_some(&mut self) {
        let number = 1 + self.random.below(200);
        self.faults.steps.count(WAL);
        wait_until("some WAL is received", 60, || {
            self.faults.steps.counted()[Call::Write as usize] >= number
        });
    }

    fn check(&mut self) {
        self.reference
            .check(&self.daemon.wal("primary"), self.cluster.restart_lsn());
    }

    /// All WAL is received in the end, and is correct.
    fn finish(mut self, load: Load) {
        load.stop();
        self.cluster.wait_quiet();
        self.cluster.wait_received("pgmoneta");
        self.daemon.stop();
        self.reference.reset();
        self.check();
    }
}

#[test]
fn a_killed_daemon_loses_no_wal() {
    for global in ["compression = zstd", "compression = none"] {
        let mut setup = Setup::new(global);
        let load = setup.load();
        let counted = setup.count();
        let mut calls = Vec::new();
        for _ in 0..10 {
            calls.push(setup.kill(&counted));
            setup.check();
            setup.daemon.start();
            setup.cluster.wait_streaming("pgmoneta");
        }
        println!("killed at: {calls:?}");
        let gap = setup.daemon.log().contains("in the archive; hint");
        assert!(!gap, "a gap was logged: {}", setup.daemon.log());
        setup.finish(load);
    }
}

#[test]
fn temporary_disk_errors_lose_no_wal() {
    let mut setup = Setup::new("compression = zstd");
    let load = setup.load();
    for round in 0..4 {
        for fault in ["sync", "full"] {
            setup.wait_received_some();
            setup.faults.on(fault);
            write_wal(&setup.cluster, 2);
            let what = format!("{fault} has failed");
            wait_until(&what, 30, || setup.faults.happened(fault));
            if round == 3 {
                // The daemon is killed while the fault persists.
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
